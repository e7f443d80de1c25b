/** Runs the commands of a host's allow-list: argv without a shell, a timeout, capped output. */
import { Context } from '@temporalio/activity'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { RE2JS } from 're2js'
import type { CommandConfig } from '../../shared/config.ts'
import { formatDuration } from '../../shared/duration.ts'
import type { CommandRequest, CommandResult } from '../../workflows/sdk/activities.ts'
import type { PermitGate } from '../permits/gate.ts'
import { runProcess } from './run-process.ts'

/** Most bytes kept of each of a command's output streams. */
const OUTPUT_CAP = 64 * 1024
/** How long a command has to end after SIGTERM, in milliseconds. */
const KILL_GRACE = 5000
/** How often Temporal hears that a command is still running, in milliseconds. */
const HEARTBEAT_INTERVAL = 3000

/** The host that commands run on. */
export interface CommandHost {
  node: string
  /** Working directory of commands. */
  directory: string
  commands: Readonly<Record<string, CommandConfig>>
  permits: PermitGate
}

/**
 * The activity `runCommand`.
 *
 * A command that may change the host needs a permit.
 *
 * @throws ApplicationFailure, not retried: `CommandNotAllowed`, `InvalidParams`, `PermitRefused`, `CommandTimeout`
 */
export function runCommandActivity(host: CommandHost): (request: CommandRequest) => Promise<CommandResult> {
  return async (request) => {
    const { command, argv } = resolveCommand(host, request)
    const context = Context.current()
    const heartbeat = setInterval(() => context.heartbeat(), HEARTBEAT_INTERVAL)
    try {
      if (!command.read_only) await host.permits.check()
      // The check may have taken a while: what was cancelled or timed out meanwhile must not even begin.
      if (context.cancellationSignal.aborted) throw new CancelledFailure('the command was cancelled before it began')
      return await execute(
        host,
        command,
        argv,
        context.info.workflowExecution?.workflowId ?? '',
        context.cancellationSignal,
      )
    } finally {
      clearInterval(heartbeat)
    }
  }
}

/** Finds a command in the allow-list and puts its parameters in. */
function resolveCommand(host: CommandHost, request: CommandRequest): { command: CommandConfig; argv: string[] } {
  const name = String(request?.name)
  const command = Object.hasOwn(host.commands, name) ? host.commands[name] : undefined
  if (command === undefined) {
    throw ApplicationFailure.nonRetryable(`${host.node} allows no command ${JSON.stringify(name)}`, 'CommandNotAllowed')
  }
  const params = checkParams(name, command, request.params ?? {})
  const argv = command.argv.map((argument) =>
    argument.replace(/\{([A-Za-z0-9_]+)\}/g, (_, parameter: string) => params.get(parameter) ?? ''),
  )
  return { command, argv }
}

function checkParams(name: string, command: CommandConfig, given: Record<string, unknown>): Map<string, string> {
  const invalid = (message: string): never => {
    throw ApplicationFailure.nonRetryable(`command ${name}: ${message}`, 'InvalidParams')
  }
  for (const parameter of Object.keys(given)) {
    if (!Object.hasOwn(command.params, parameter)) invalid(`has no parameter ${JSON.stringify(parameter)}`)
  }
  return new Map(
    Object.entries(command.params).map(([parameter, pattern]) => {
      const value = Object.hasOwn(given, parameter) ? given[parameter] : undefined
      if (typeof value !== 'string') return invalid(`parameter ${parameter} must be a string`)
      // The whole value must match, whether or not the pattern says so: a part that matches proves nothing.
      if (value.includes('\0') || !RE2JS.compile(pattern).matcher(value).matches()) {
        return invalid(`parameter ${parameter} must match ${pattern}`)
      }
      return [parameter, value]
    }),
  )
}

async function execute(
  host: CommandHost,
  command: CommandConfig,
  argv: readonly string[],
  executionId: string,
  cancelled: AbortSignal,
): Promise<CommandResult> {
  const { PATH, HOME } = process.env
  const result = await runProcess({
    argv,
    directory: host.directory,
    env: {
      ...(PATH === undefined ? {} : { PATH }),
      ...(HOME === undefined ? {} : { HOME }),
      RESILE_NODE: host.node,
      RESILE_EXECUTION_ID: executionId,
    },
    outputCap: OUTPUT_CAP,
    signal: AbortSignal.any([cancelled, AbortSignal.timeout(command.timeout)]),
    killGrace: KILL_GRACE,
  })
  if (!result.killed) return result.output
  if (cancelled.aborted) throw new CancelledFailure('the command was cancelled')
  throw ApplicationFailure.nonRetryable(
    `${argv[0]} ran longer than ${formatDuration(command.timeout)}`,
    'CommandTimeout',
    result.output,
  )
}

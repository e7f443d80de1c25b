/** Runs the commands of a host's allow-list: argv without a shell, a timeout, capped output. */
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import { RE2JS } from 're2js'
import type { CommandConfig } from '../../../shared/config.ts'
import type { CommandDescription, CommandRequest, CommandResult } from '../../../workflows/sdk/activities.ts'
import { commandPath } from '../../process/command-path.ts'
import type { ProcessIdentity } from '../../process/process-identity.ts'
import { type ProcessOrder, runProcess } from '../../process/run-process.ts'
import { commandOutcome } from '../journal/command-outcome.ts'
import type { Outcome } from '../journal/journal.ts'
import { carryToEnd } from '../journal/run-detached.ts'
import { type ChangeHost, carryOut, isCancelRequested, unknownOutcome, unwrap } from '../journal/run-once.ts'
import type { CommandBinding } from '../permits/verify.ts'

/** Bytes kept of each of a command's output streams, unless its caller wants more. */
const MAX_OUTPUT_BYTES = 64 * 1024
/** How long a command has to end after SIGTERM, in milliseconds. */
const KILL_GRACE_MS = 5000

/** The host that commands run on. */
export interface CommandHost extends ChangeHost {
  /** Working directory of commands. */
  directory: string
  commands: Readonly<Record<string, CommandConfig>>
}

/** An allow-listed command with its parameters put in. */
export interface ResolvedCommand {
  name: string
  command: CommandConfig
  argv: string[]
}

/**
 * The activity `runCommand`.
 *
 * A command that may change the host needs a permit, and is recorded in the change journal: an attempt whose command was run
 * already returns what came of it, one whose command was cut off does not run it again.
 *
 * @throws ApplicationFailure, not retried: `CommandNotAllowed`, `InvalidParams`, `CommandTimeout`, and those of
 *   {@link carryOut}
 */
export function runCommandActivity(host: CommandHost): (request: CommandRequest) => Promise<CommandResult> {
  return async (request) => {
    const resolved = resolveCommand(host, request)
    const { command, argv, name } = resolved
    if (command.read_only) return execute(host, resolved)
    const binding = bindingOf(resolved)
    const what = `command ${name}`
    if (request.outlivesWorker !== true) {
      return carryOut(host, { what, binding, effect: (hold) => execute(host, resolved, { hold }) })
    }
    const order = { command: processOrder(host, argv), timeout: command.timeout }
    return (await carryToEnd(host, { what, binding, ...order })) as CommandResult
  }
}

/**
 * The activity `describeCommand`: what a command would run, without running it.
 *
 * @throws ApplicationFailure, not retried: `CommandNotAllowed`, `InvalidParams`
 */
export function describeCommandActivity(host: CommandHost): (request: CommandRequest) => Promise<CommandDescription> {
  return async (request) => {
    const { command, argv, name } = resolveCommand(host, request)
    return { name, argv, timeoutMs: command.timeout, readOnly: command.read_only }
  }
}

/** The process of a command: its argv in the project's directory, with four variables and nothing else. */
export function processOrder(host: CommandHost, argv: readonly string[]): Omit<ProcessOrder, 'signal'> {
  const path = commandPath()
  const { HOME } = process.env
  return {
    argv,
    directory: host.directory,
    env: {
      ...(path === undefined ? {} : { PATH: path }),
      ...(HOME === undefined ? {} : { HOME }),
      RESILE_NODE: host.node,
      RESILE_EXECUTION_ID: Context.current().info.workflowExecution?.workflowId ?? '',
    },
    outputCap: MAX_OUTPUT_BYTES,
    killGrace: KILL_GRACE_MS,
  }
}

/**
 * Finds a command in the allow-list and puts its parameters in.
 *
 * @throws ApplicationFailure `CommandNotAllowed`, `InvalidParams`
 */
export function resolveCommand(host: CommandHost, request: CommandRequest): ResolvedCommand {
  const name = String(request?.name)
  const command = Object.hasOwn(host.commands, name) ? host.commands[name] : undefined
  if (command === undefined) {
    throw ApplicationFailure.nonRetryable(`${host.node} allows no command ${JSON.stringify(name)}`, 'CommandNotAllowed')
  }
  const params = checkParams(name, command, request.params ?? {})
  const argv = command.argv.map((argument) =>
    argument.replace(/\{([A-Za-z0-9_]+)\}/g, (_, parameter: string) => params.get(parameter) ?? ''),
  )
  return { name, command, argv }
}

/**
 * The workflows that a command which changes the host is bound to. One that is bound to none can be run by nobody: a
 * workflow's input may name the command, and then every caller who can start any workflow could run it.
 *
 * @throws ApplicationFailure `CommandNotAllowed`
 */
export function bindingOf({ name, command: { workflows } }: ResolvedCommand): CommandBinding {
  if (workflows !== undefined && workflows.length > 0) return { name, workflows }
  const message = `no workflow may run command ${name}: add workflows = ["…"] to its block in worker.hcl`
  throw ApplicationFailure.nonRetryable(message, 'CommandNotAllowed')
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
      // What a program takes for an option can change what the command does.
      if (value.startsWith('-') && !command.allow_options) {
        return invalid(`parameter ${parameter} must not begin with "-": the command has no allow_options = true`)
      }
      return [parameter, value]
    }),
  )
}

/** How a command is run. */
export interface ExecuteOptions {
  /** Told of its process. */
  hold?: (process: ProcessIdentity) => void
  /** Bytes kept of each output stream, and which. */
  maxOutputBytes?: number
  keeps?: ProcessOrder['keeps']
}

/**
 * Runs a command that ends with its worker, and with its activity.
 *
 * @throws ApplicationFailure `CommandTimeout`, not retried; when the worker stops `OutcomeUnknown`, not retried, or of a
 *   command that only looks `WorkerStopped`, retried
 */
export async function execute(
  host: CommandHost,
  { command, argv, name }: ResolvedCommand,
  { hold, maxOutputBytes = MAX_OUTPUT_BYTES, keeps = 'head' }: ExecuteOptions = {},
): Promise<CommandResult> {
  const order = {
    ...processOrder(host, argv),
    outputCap: maxOutputBytes,
    keeps,
    ...(hold === undefined ? {} : { onStart: hold }),
  }
  const outcome = await runWhileWanted(order, command.timeout)
  if (outcome !== null) return unwrap(outcome) as CommandResult
  if (!command.read_only) return unwrap(unknownOutcome(`command ${name}`)) as CommandResult
  throw ApplicationFailure.retryable(`command ${name} was cut off by the end of its worker`, 'WorkerStopped')
}

/**
 * Runs a process for no longer than the running activity.
 *
 * @param timeout milliseconds that it may take
 * @returns null when it was cut off without a cancellation, as when the worker stops
 */
export async function runWhileWanted(order: Omit<ProcessOrder, 'signal'>, timeout: number): Promise<Outcome | null> {
  const { cancellationSignal: cancelled } = Context.current()
  const ended = await runProcess({ ...order, signal: AbortSignal.any([cancelled, AbortSignal.timeout(timeout)]) })
  if (ended.killed && cancelled.aborted && !isCancelRequested()) return null
  return commandOutcome(order.argv, ended, cancelled.aborted, timeout)
}

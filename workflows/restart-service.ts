/** Restarts a service by the host's commands, from the mildest on, and proves that it helped. */
import {
  type CheckResult,
  type CommandResult,
  checkHttp,
  describeCommand,
  fail,
  failWithDiagnostics,
  foundBy,
  isOutcomeUnknown,
  milliseconds,
  type Run,
  runCommand,
  untilHealthy,
} from 'resile/workflow'

/** The input, declared for triggers in restart-service.hcl. */
export interface Input extends Attempt {
  /** How to see that the service is healthy. */
  check: { url: string; expectStatus?: number }
  /** How long the service may take to become healthy after each attempt. */
  verify_for?: string
  /** With the command `systemd`: the first of {@link SYSTEMD_LEVELS}. */
  from?: string
  /** Says what it would do, and does nothing. */
  dry_run?: boolean
}

/** One attempt, and what is tried when it didn't help. */
interface Attempt {
  /** Name of a command that the host's worker.hcl allows, or `systemd`. */
  command: string
  params?: Record<string, string>
  next?: Attempt
}

/** The steps, and how long the service took to answer again. */
export interface Result {
  healthy: true
  /** Checks that were made after the last attempt. */
  checks: number
  recovered_after_ms: number
  /** The last command; null when it was cut off, and the service is healthy all the same. */
  command: Pick<CommandResult, 'exitCode' | 'durationMs'> | null
  before: CheckResult
  after: CheckResult
  /** The steps, in order. */
  attempts: AttemptReport[]
}

/** How one attempt went; `exit_codes` are null where a command was cut off. */
interface AttemptReport {
  level: string
  exit_codes: (number | null)[]
  healthy: boolean
}

/** One attempt: commands that are run one after the other. */
interface Level {
  name: string
  /** Of `lenient` ones the outcome doesn't count. */
  commands: { name: string; params?: Record<string, string>; lenient?: boolean }[]
}

/** The steps for a systemd unit, in this order, until it is healthy. */
const SYSTEMD_LEVELS = ['reload', 'restart', 'stop-kill-start']
/** Attempts that one execution may make: what is tried without end is no remedy, and limits count executions. */
const MAX_LEVELS = 8

/**
 * Act, verify, and when it didn't help, try what comes next; after the last, end failed with what an engineer would look
 * at first.
 *
 * @throws ApplicationFailure `CommandFailed`, `NotHealthy`, `InvalidInput`
 */
export async function restartService(input: Input, run: Run): Promise<Result | object> {
  const verifyFor = input.verify_for ?? '30s'
  const within = milliseconds(verifyFor)
  const levels = levelsOf(input)
  const before = await checkHttp(input.check)
  if (input.dry_run) return { dry_run: true, before, would_run: await describeAll(levels) }
  const attempts: AttemptReport[] = []
  for (const [index, { name, commands }] of levels.entries()) {
    const isLast = index === levels.length - 1
    const { results, failed } = await runAll(commands)
    const report = { level: name, exit_codes: results.map((result) => result?.exitCode ?? null), healthy: false }
    attempts.push(report)
    const command = results.at(-1) ?? null
    if (failed !== null) {
      if (!isLast) continue
      const message = `${failed.name} exited with ${failed.result.exitCode}`
      return failWithDiagnostics('CommandFailed', message, { command: failed.result, before, attempts })
    }
    const began = Date.now()
    const { healthy, checks, last } = await untilHealthy(input.check, within)
    if (healthy) {
      report.healthy = true
      const brief = command === null ? null : { exitCode: command.exitCode, durationMs: command.durationMs }
      return { healthy, checks, recovered_after_ms: Date.now() - began, command: brief, before, after: last, attempts }
    }
    if (isLast) {
      const found = foundBy(last)
      const place = run.target.node ?? run.datacenter
      const outcome = results.includes(null) ? `${name}, which was cut off` : name
      return failWithDiagnostics(
        'NotHealthy',
        `${input.check.url} on ${place} is not healthy ${verifyFor} after ${outcome}: ${found}`,
        { command, check: last, before, attempts },
      )
    }
  }
  return fail('InvalidInput', 'there is nothing to try')
}

function levelsOf(input: Input): Level[] {
  if (input.command === 'systemd') return systemdLevels(input)
  const levels: Level[] = []
  for (let attempt: Attempt | undefined = input; attempt !== undefined; attempt = attempt.next) {
    if (typeof attempt?.command !== 'string') return fail('InvalidInput', 'each "next" needs a command')
    if (levels.length === MAX_LEVELS) return fail('InvalidInput', `at most ${MAX_LEVELS} commands can be tried`)
    const { command: name, params } = attempt
    levels.push({ name, commands: [{ name, ...(params === undefined ? {} : { params }) }] })
  }
  return levels
}

function systemdLevels({ params, from = 'reload' }: Input): Level[] {
  const first = SYSTEMD_LEVELS.indexOf(from)
  if (first < 0) return fail('InvalidInput', `from must be one of ${SYSTEMD_LEVELS.join(', ')}`)
  const unit = { params: { unit: params?.['unit'] ?? '' } }
  return SYSTEMD_LEVELS.slice(first).map((name) => ({
    name,
    commands: name.split('-').map((verb, index, verbs) => ({
      name: `systemd-${verb}`,
      ...unit,
      // What hangs is not stopped in time, and what has stopped can't be killed.
      lenient: index < verbs.length - 1,
    })),
  }))
}

/** Runs commands until one fails. */
async function runAll(commands: Level['commands']): Promise<{
  results: (CommandResult | null)[]
  failed: { name: string; result: CommandResult } | null
}> {
  const results: (CommandResult | null)[] = []
  for (const { lenient, ...command } of commands) {
    const result = await runOnce(command)
    results.push(result)
    if (result !== null && result.exitCode !== 0 && !lenient) {
      return { results, failed: { name: command.name, result } }
    }
  }
  return { results, failed: null }
}

/** Runs a command; null when it was cut off, and only the check can tell whether it helped. */
async function runOnce(command: { name: string; params?: Record<string, string> }): Promise<CommandResult | null> {
  try {
    return await runCommand(command)
  } catch (error) {
    if (isOutcomeUnknown(error)) return null
    throw error
  }
}

async function describeAll(levels: Level[]): Promise<object[]> {
  const described: object[] = []
  for (const { name, commands } of levels) {
    for (const { lenient: _, ...command } of commands) {
      described.push({ level: name, ...(await describeCommand(command)) })
    }
  }
  return described
}

/** Restarts a service by the host's commands, from the mildest on, and proves that it helped. */
import { patched } from '@temporalio/workflow'
import {
  type CheckResult,
  type CommandResult,
  checkHttp,
  describeCommand,
  fail,
  failureType,
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
  /** For how long it then has to stay healthy: the first answer of a service that crashes again proves nothing; default `"5s"`. */
  healthy_for?: string
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
  commands: LevelCommand[]
}

/** One command of a level. */
interface LevelCommand {
  name: string
  params?: Record<string, string>
  /** Whether its outcome doesn't count. */
  lenient?: boolean
  /** Whether it only prepares the next one: a host that does not know it yet does without. */
  prepares?: boolean
}

/** The steps for a systemd unit, in this order, until it is healthy. */
const SYSTEMD_LEVELS = ['reload', 'restart', 'stop-kill-start']
/** Marks histories of executions that wait for steady health, and reset failed units first. */
const STEADY_AND_RESET = 'steady-health'
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
  // Histories of earlier versions go on as they began.
  const isCurrent = patched(STEADY_AND_RESET)
  const steady = isCurrent ? milliseconds(input.healthy_for ?? '5s') : 0
  const levels = levelsOf(input, isCurrent)
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
      const unit = await unitEvidence(input, isCurrent)
      return failWithDiagnostics('CommandFailed', message, { command: failed.result, before, attempts, ...unit })
    }
    const began = Date.now()
    const { healthy, checks, last } = await untilHealthy(input.check, within + steady, { steady })
    if (healthy) {
      report.healthy = true
      const brief = command === null ? null : { exitCode: command.exitCode, durationMs: command.durationMs }
      return { healthy, checks, recovered_after_ms: Date.now() - began, command: brief, before, after: last, attempts }
    }
    if (isLast) {
      const found = foundBy(last)
      const place = run.target.node ?? run.datacenter
      const unit = await unitEvidence(input, isCurrent)
      const outcome = results.includes(null) ? `${name}, which was cut off` : name
      return failWithDiagnostics(
        'NotHealthy',
        `${input.check.url} on ${place} is not healthy ${verifyFor} after ${outcome}: ${found}`,
        { command, check: last, before, attempts, ...unit },
      )
    }
  }
  return fail('InvalidInput', 'there is nothing to try')
}

function levelsOf(input: Input, resets: boolean): Level[] {
  if (input.command === 'systemd') return systemdLevels(input, resets)
  const levels: Level[] = []
  for (let attempt: Attempt | undefined = input; attempt !== undefined; attempt = attempt.next) {
    if (typeof attempt?.command !== 'string') return fail('InvalidInput', 'each "next" needs a command')
    if (levels.length === MAX_LEVELS) return fail('InvalidInput', `at most ${MAX_LEVELS} commands can be tried`)
    const { command: name, params } = attempt
    levels.push({ name, commands: [{ name, ...(params === undefined ? {} : { params }) }] })
  }
  return levels
}

function systemdLevels({ params, from = 'reload' }: Input, resets: boolean): Level[] {
  const first = SYSTEMD_LEVELS.indexOf(from)
  if (first < 0) return fail('InvalidInput', `from must be one of ${SYSTEMD_LEVELS.join(', ')}`)
  const unit = { params: { unit: params?.['unit'] ?? '' } }
  const reset = { name: 'systemd-reset-failed', ...unit, lenient: true, prepares: true }
  return SYSTEMD_LEVELS.slice(first).map((name) => ({
    name,
    commands: name.split('-').flatMap((verb, index, verbs): LevelCommand[] => {
      // What hangs is not stopped in time, and what has stopped can't be killed.
      const command = { name: `systemd-${verb}`, ...unit, lenient: index < verbs.length - 1 }
      const starts = verb === 'restart' || verb === 'start'
      return resets && starts ? [reset, command] : [command]
    }),
  }))
}

/** Runs commands until one fails. */
async function runAll(commands: Level['commands']): Promise<{
  results: (CommandResult | null)[]
  failed: { name: string; result: CommandResult } | null
}> {
  const results: (CommandResult | null)[] = []
  for (const { lenient, prepares, ...command } of commands) {
    if (prepares) {
      await runIfKnown(command)
      continue
    }
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

/** Runs a command that a host of an earlier version does not have; null there. */
async function runIfKnown(command: { name: string; params?: Record<string, string> }): Promise<CommandResult | null> {
  try {
    return await runOnce(command)
  } catch (error) {
    if (failureType(error) === 'CommandNotAllowed') return null
    throw error
  }
}

/** What systemd says of a unit that was not healed: an engineer's first two commands. */
async function unitEvidence({ command, params }: Input, isCurrent: boolean): Promise<{ unit?: object }> {
  if (command !== 'systemd' || !isCurrent) return {}
  const unit = { params: { unit: params?.['unit'] ?? '' } }
  const status = await runIfKnown({ name: 'systemd-status', ...unit })
  const journal = await runIfKnown({ name: 'systemd-journal', ...unit })
  return { unit: { status: status?.stdout ?? null, journal: journal?.stdout ?? null } }
}

async function describeAll(levels: Level[]): Promise<object[]> {
  const described: object[] = []
  for (const { name, commands } of levels) {
    for (const { lenient: _, prepares, ...command } of commands) {
      if (prepares) continue
      described.push({ level: name, ...(await describeCommand(command)) })
    }
  }
  return described
}

/** Starts what signals request: several workflows in one HTTP request, each admitted and answered separately. */
import pLimit from 'p-limit'
import pTimeout from 'p-timeout'
import type { Caller } from '../../shared/callers.ts'
import type { Config } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { sha256 } from '../../shared/sha256.ts'
import type { Decision, Target, TriggerItem, TriggerMetadata } from '../../shared/wire.ts'
import { authorise } from '../access/authorise.ts'
import type { AppContext } from '../context.ts'
import { traceparent } from '../http/headers.ts'
import { PROBLEM_STATUSES, ProblemError } from '../http/problem.ts'
import type { Admitted } from '../ledger/types.ts'
import type { Ledgers } from '../ledgers.ts'
import { start } from './pipeline.ts'
import { findWorkflow } from './workflow.ts'

/** One workflow that a signal requests to start. */
export interface RequestedStart {
  /** The detector that requests it; null when the signal itself names the workflow. */
  detector: string | null
  workflow: string
  /** Makes target and input from the signal. @throws ProblemError when that is not possible */
  parameters: () => { target: Target; input: Record<string, unknown> }
  reason: string
  trigger: TriggerMetadata
  /** With workflow and caller, identifies this start: equal each time the signal is sent. */
  deduplicationKey: readonly string[]
}

/** Something that a sender reports, and the starts that it requests; without any, the fallback is its outcome. */
export interface Signal extends Pick<TriggerItem, 'fingerprint' | 'status'> {
  requested: readonly RequestedStart[]
  fallback: { outcome: 'resolved' | 'ignored'; detail: string }
}

/** The outcome of one requested start. */
type Outcome = Omit<TriggerItem, keyof Signal>

/** Who requests the starts, in which HTTP request. */
export interface BatchContext {
  config: Config
  ledgers: Ledgers
  caller: Caller
  requestId: string
  traceparent: string | null
}

/** Starts that are in progress at the same time. */
const MAX_PARALLEL = 16
/** Starts that one HTTP request can make. */
const MAX_STARTS = 500
/** Up to so many, it isn't worthwhile to ask first which of them were made before. */
const FEW_STARTS = 16
/**
 * After this time the response is sent: no further start begins, and one that has no answer is left undecided. The shortest
 * time that Alertmanager gives a notification is 10 s, for all attempts together.
 */
const BATCH_TIMEOUT_MS = 6000
/** Length of a reason, in characters. */
const MAX_REASON_LENGTH = 4096
/** Size of the input, in characters of JSON; no other kind of trigger can have more. */
const MAX_INPUT_LENGTH = 64 * 1024

/** The batch context of an HTTP request. */
export function batchContext({ var: state, req }: AppContext): BatchContext {
  const { config, ledgers, caller, requestId } = state
  return { config, ledgers, caller, requestId, traceparent: traceparent(req.raw.headers) }
}

/**
 * Starts everything that signals request, by the same admission as any other start, without waiting for Temporal. One that
 * is refused does not affect the others.
 *
 * @returns the outcomes of each signal, in their order: one item per requested start, else one with its fallback
 */
export async function startBatch(context: BatchContext, signals: readonly Signal[]): Promise<TriggerItem[][]> {
  const deadline = Date.now() + BATCH_TIMEOUT_MS
  const requested = signals.flatMap((signal) => signal.requested)
  // What was started by an earlier request takes neither a place nor time, or the rest of a large group would get none.
  const outcomes = await startedEarlier(context, requested, deadline)
  const rest = requested.filter((start) => !outcomes.has(start))
  const started = await pLimit(MAX_PARALLEL).map(rest, async (start, index) => {
    const outcome = index < MAX_STARTS ? await tryStart(context, start, deadline) : refusal(context, start, TOO_MANY)
    return [start, outcome] as const
  })
  for (const [start, outcome] of started) outcomes.set(start, outcome)
  return signals.map(({ fingerprint, status, requested: own, fallback }) => {
    if (own.length === 0) return [{ fingerprint, status, ...NOT_REQUESTED, ...fallback }]
    return own.flatMap((start) => {
      const outcome = outcomes.get(start)
      return outcome === undefined ? [] : [{ fingerprint, status, ...outcome }]
    })
  })
}

const NOT_REQUESTED = {
  detector: null,
  workflow: null,
  code: null,
  decision: null,
  execution: null,
  retry: false,
} as const

const LATE = new ProblemError('overloaded', 'it was not decided in time')
const TOO_MANY = new ProblemError('too_large', `one request starts at most ${MAX_STARTS} workflows`)

/** The outcomes of starts that were admitted by an earlier request; none without an answer in time. */
async function startedEarlier(
  context: BatchContext,
  requested: readonly RequestedStart[],
  deadline: number,
): Promise<Map<RequestedStart, Outcome>> {
  const { ledgers, caller } = context
  const outcomes = new Map<RequestedStart, Outcome>()
  if (requested.length <= FEW_STARTS) return outcomes
  const keys = await Promise.all(
    requested.map(async ({ workflow, deduplicationKey }) => ({ workflow, key: await keyOf(deduplicationKey) })),
  )
  const asked = ledgers.every(async (datacenter) => ledgers.of(datacenter).admittedUnder(caller, keys))
  const milliseconds = Math.max(deadline - Date.now(), 1)
  const answers = await pTimeout(asked, { milliseconds, fallback: () => [] }).catch(() => [])
  for (const [index, start] of requested.entries()) {
    const decision = answers.map((answer) => answer[index]).find((found) => found !== undefined && found !== null)
    if (decision !== undefined && decision !== null) outcomes.set(start, repeated(context, start, decision))
  }
  return outcomes
}

/** The outcome of a start that was admitted earlier, if its caller may still start it. */
function repeated(context: BatchContext, start: RequestedStart, decision: Pick<Decision, 'id' | 'outcome'>): Outcome {
  try {
    mayStart(context, start)
    return admission(start, decision)
  } catch (error) {
    if (error instanceof ProblemError) return refusal(context, start, error)
    throw error
  }
}

/** @throws ProblemError for a caller without the right to start the workflow */
function mayStart({ config, caller }: BatchContext, { workflow }: RequestedStart): void {
  authorise(config, { caller, reason: null }, 'POST', `/v1/workflows/${workflow}/executions`)
}

/** The idempotency key of a start. */
function keyOf(deduplicationKey: readonly string[]): Promise<string> {
  return sha256(JSON.stringify(deduplicationKey))
}

async function tryStart(context: BatchContext, requested: RequestedStart, deadline: number): Promise<Outcome> {
  const milliseconds = deadline - Date.now()
  try {
    if (milliseconds <= 0) return refusal(context, requested, LATE)
    const fallback = (): never => {
      throw LATE
    }
    const { decision } = await pTimeout(startOne(context, requested), { milliseconds, fallback })
    return admission(requested, decision)
  } catch (error) {
    if (error instanceof ProblemError) return refusal(context, requested, error)
    log('error', 'request_failed', { request_id: context.requestId, detail: messageOf(error), stack: stackOf(error) })
    return refusal(context, requested, new ProblemError('internal', 'an internal error; see the log'), true)
  }
}

async function startOne(context: BatchContext, requested: RequestedStart): Promise<Admitted> {
  const { config, ledgers, caller, traceparent: parent } = context
  const { workflow: name, parameters, reason, trigger, deduplicationKey } = requested
  mayStart(context, requested)
  const workflow = findWorkflow(config, name)
  const { target, input } = parameters()
  if (JSON.stringify(input).length > MAX_INPUT_LENGTH) {
    throw new ProblemError('invalid_input', `the input is over ${MAX_INPUT_LENGTH / 1024} KiB`)
  }
  const key = await keyOf(deduplicationKey)
  return start(ledgers, config, {
    workflow,
    caller,
    target,
    reason: truncate(reason),
    trigger,
    input,
    pointer: '',
    // The rest of a signal (its value, its duration) differs from one notification to the next without being another start.
    idempotency: { key, content: key },
    wait: 0,
    traceparent: parent,
  })
}

/** The outcome of an admitted start; its execution has the decision's id. */
function admission({ detector, workflow }: RequestedStart, { id, outcome }: Pick<Decision, 'id' | 'outcome'>): Outcome {
  return {
    detector,
    workflow,
    outcome,
    code: null,
    detail: null,
    decision: id,
    execution: id,
    retry: false,
  }
}

/** The outcome of a start that was not admitted; logged too, since senders of signals don't show responses to anyone. */
function refusal(
  { caller, requestId }: BatchContext,
  { detector, workflow, trigger }: RequestedStart,
  { code, message, errors, decision }: ProblemError,
  isUnknown = false,
): Outcome {
  const retry = isUnknown || RETRIED.has(PROBLEM_STATUSES[code])
  const places = errors?.map(({ path, message: mistake }) => ` (${path}: ${mistake})`).join('') ?? ''
  const detail = `${message}${places}`
  log(retry ? 'info' : 'warn', 'trigger_denied', {
    request_id: requestId,
    caller,
    source: trigger.source,
    name: trigger.name,
    fingerprint: trigger.fingerprint,
    detector,
    workflow,
    code,
    detail,
  })
  const isDecided = decision !== undefined && 'outcome' in decision
  return {
    detector,
    workflow,
    outcome: isDecided ? 'denied' : retry ? 'undecided' : 'refused',
    code,
    detail,
    decision: decision?.id ?? null,
    execution: null,
    retry,
  }
}

/** Statuses of problems that may pass without anyone doing anything. */
const RETRIED: ReadonlySet<number> = new Set([423, 429, 503])

function truncate(reason: string): string {
  return reason.length <= MAX_REASON_LENGTH ? reason : `${reason.slice(0, MAX_REASON_LENGTH).toWellFormed()}…`
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined
}

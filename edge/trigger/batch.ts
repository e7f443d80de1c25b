/** Starts what signals want: several things by one request, each judged for itself and with an answer of its own. */
import type { Caller } from '../../shared/callers.ts'
import type { Config } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { sha256 } from '../../shared/sha256.ts'
import type { Target, TriggerItem, TriggerSource } from '../../shared/wire.ts'
import { authorise } from '../access/authorise.ts'
import type { Env } from '../env.ts'
import { PROBLEM_STATUSES, ProblemError } from '../http/problem.ts'
import { inParallel } from '../in-parallel.ts'
import { within } from '../patience.ts'
import { type Admitted, start } from './pipeline.ts'
import { findWorkflow } from './workflow.ts'

/** One thing that a signal wants to be started. */
export interface Wanted {
  /** The detector that speaks for it; null when the signal itself names the workflow. */
  detector: string | null
  workflow: string
  /** What it is to be started with. @throws ProblemError when that can't be made of the signal */
  order: () => Order
  reason: string
  trigger: TriggerSource
  /** What, with workflow and caller, tells this one from all others: the same each time the signal is sent. */
  occasion: readonly string[]
}

/** What a workflow is to be started with. */
export interface Order {
  target: Target
  input: Record<string, unknown>
}

/** Something that a sender tells, and what it wants; without anything wanted, what it is otherwise. */
export interface Signal extends Pick<TriggerItem, 'fingerprint' | 'status'> {
  wanted: readonly Wanted[]
  otherwise: { outcome: 'resolved' | 'ignored'; detail: string }
}

/** What came of one wanted thing. */
type Outcome = Omit<TriggerItem, keyof Signal>

/** Who wants things started, in which request. */
export interface FiringContext {
  env: Env
  config: Config
  caller: Caller
  requestId: string
  traceparent: string | null
}

/** Starts that are under way at the same time. */
const PARALLEL = 16
/** Most that one request can start. */
const MOST_STARTS = 500
/**
 * After this time, in milliseconds, the answer goes out: nothing more is begun, and what hangs is left undecided. The
 * shortest time that Alertmanager gives a notification is 10 s, for all attempts together.
 */
const FIRE_WITHIN = 6000
/** Most of a reason, in characters. */
const REASON_MOST = 4096
/** Most of what a workflow is started with, in characters of JSON; no start of any other way has more. */
const ORDER_MOST = 64 * 1024

/**
 * Starts all that signals want, by the same decision as any other start, without waiting for Temporal. One that is
 * refused keeps none of the others from it.
 *
 * @returns what came of each signal, in their order: one item for each wanted thing, or one that says why there is none
 */
export async function fire(context: FiringContext, signals: readonly Signal[]): Promise<TriggerItem[][]> {
  const deadline = Date.now() + FIRE_WITHIN
  const jobs = signals.flatMap((signal): Job[] =>
    signal.wanted.length === 0 ? [{ signal, one: null }] : signal.wanted.map((one) => ({ signal, one })),
  )
  let starts = 0
  const came = await inParallel(
    PARALLEL,
    jobs,
    async ({ signal, one }): Promise<{ signal: Signal; item: TriggerItem }> => {
      const { fingerprint, status, otherwise } = signal
      if (one === null) return { signal, item: { fingerprint, status, ...NOTHING, ...otherwise } }
      starts += 1
      const isTooMany = starts > MOST_STARTS
      const outcome = isTooMany ? outcomeOf(context, one, TOO_MANY) : await fireOne(context, one, deadline)
      return { signal, item: { fingerprint, status, ...outcome } }
    },
  )
  const bySignal = Map.groupBy(came, ({ signal }) => signal)
  return signals.map((signal) => (bySignal.get(signal) ?? []).map(({ item }) => item))
}

/** One wanted thing, or a signal that wants nothing. */
interface Job {
  signal: Signal
  one: Wanted | null
}

const NOTHING = { detector: null, workflow: null, code: null, decision: null, execution: null, retry: false } as const

async function fireOne(context: FiringContext, one: Wanted, deadline: number): Promise<Outcome> {
  const left = deadline - Date.now()
  try {
    if (left <= 0) return outcomeOf(context, one, LATE)
    return admitted(one, await within(left, startOne(context, one), tooLate))
  } catch (error) {
    if (error instanceof ProblemError) return outcomeOf(context, one, error)
    log('error', 'request_failed', { request_id: context.requestId, detail: messageOf(error), stack: stackOf(error) })
    return outcomeOf(context, one, new ProblemError('internal', 'an internal error; the log has it'), true)
  }
}

function tooLate(): never {
  throw LATE
}

const LATE = new ProblemError('overloaded', 'it was not decided in time')
const TOO_MANY = new ProblemError('too_large', `one request starts ${MOST_STARTS} things at most`)

async function startOne(
  { env, config, caller, traceparent }: FiringContext,
  { workflow: name, order, reason, trigger, occasion }: Wanted,
): Promise<Admitted> {
  authorise(config, { caller, reason: null }, 'POST', `/v1/workflows/${name}/executions`)
  const workflow = findWorkflow(config, name)
  const { target, input } = order()
  if (JSON.stringify(input).length > ORDER_MOST) {
    throw new ProblemError('invalid_input', `the input is over ${ORDER_MOST / 1024} KiB`)
  }
  const key = await sha256(JSON.stringify(occasion))
  return start(env, config, {
    workflow,
    caller,
    body: { target, reason: shortened(reason), trigger },
    input,
    place: '',
    // What else a signal says (how high, for how long) changes from one time to the next, and is no other occasion.
    idempotency: { key, content: key },
    wait: 0,
    traceparent,
  })
}

function admitted({ detector, workflow }: Wanted, { decision, execution }: Admitted): Outcome {
  return {
    detector,
    workflow,
    outcome: decision.outcome,
    code: null,
    detail: null,
    decision: decision.id,
    execution: execution.id,
    retry: false,
  }
}

/** What came of one that was not admitted; also put into the log, since senders of signals show no answers to anyone. */
function outcomeOf(
  { caller, requestId }: FiringContext,
  { detector, workflow, trigger }: Wanted,
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

/** Statuses that pass by themselves. */
const RETRIED: ReadonlySet<number> = new Set([423, 429, 503])

function shortened(reason: string): string {
  return reason.length <= REASON_MOST ? reason : `${reason.slice(0, REASON_MOST).toWellFormed()}…`
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined
}

/** The end of a drill: waits until nothing is in progress any more, collects what there is to know, and has it judged. */
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../support/until.ts'
import type { Fleet } from './fleet.ts'
import { type Histories, inParallel, insist } from './histories.ts'
import {
  type Decided,
  isLate,
  isPromise,
  judgeAnswers,
  judgeDecisions,
  judgeDoubles,
  judgeLate,
  judgeLimits,
  judgePromises,
  type Promised,
  type Sent,
  type Violation,
} from './judge.ts'
import type { DrillWorkflow } from './workflows.ts'

/** How long the outbox may take to be empty, and executions to end, in milliseconds. */
const OUTBOX_WITHIN = 60_000
const ENDED_WITHIN = 45_000
/** Between two looks at Temporal's lists, which have to agree before they are taken for complete. */
const LIST_INTERVAL = 1000

/** What can be said of a drill while it is going on: of its promises, nothing yet. */
export function judgeSoFar(kinds: readonly DrillWorkflow[], sent: readonly Sent[], histories: Histories): Violation[] {
  const { runs } = histories
  return [
    ...judgeLimits(
      kinds,
      runs.filter((run) => !isLate(run)),
    ),
    ...judgeLate(runs),
    ...judgeDoubles(sent, runs),
    ...judgeAnswers(sent),
  ]
}

/** Waits for the end of everything that is in progress, and judges all of the drill. */
export async function judgeAll(
  fleet: Fleet,
  kinds: readonly DrillWorkflow[],
  sent: readonly Sent[],
  histories: Histories,
  signal: AbortSignal,
): Promise<Violation[]> {
  const unsettled = await settle(fleet, histories, signal)
  const ids = new Set(sent.flatMap(({ id }) => id ?? []))
  const holders = new Map<string, string | null>()
  await inParallel([...ids], async (id) => void holders.set(id, await histories.holder(id)))
  await listsAreComplete(histories, signal)
  const promised: Promised[] = []
  await inParallel([...new Set(sent.filter(isPromise).flatMap(({ id }) => id ?? []))], async (id) => {
    const { found } = await insist(() => fleet.look<NonNullable<Promised['record']>>(`/v1/executions/${id}`))
    const record = found ?? null
    promised.push({
      id,
      record: record && { status: record.status, error: record.error },
      holder: holders.get(id) ?? null,
    })
  })
  const decisions = new Map<string, Decided>()
  await inParallel(histories.runs, async ({ workflowId }) => {
    const { found: decision } = await insist(() => fleet.look<Decided>(`/v1/decisions/${workflowId}`))
    if (decision !== undefined) decisions.set(workflowId, decision)
  })
  const { runs } = histories
  return [
    ...unsettled,
    ...judgeSoFar(kinds, sent, histories),
    ...judgePromises(kinds, sent, promised, runs),
    ...judgeDecisions(runs, decisions),
  ]
}

/** Until every request has arrived, every start is settled, and if it can be, every execution has ended. */
async function settle(fleet: Fleet, histories: Histories, signal: AbortSignal): Promise<Violation[]> {
  // Once stopped it does not wait: a failed query would only be repeated.
  await until('all requests have arrived', () => signal.aborted || fleet.line.isEmpty, { within: OUTBOX_WITHIN })
  signal.throwIfAborted()
  let pending = -1
  const settled = async () => {
    if (signal.aborted) return true
    pending = await fleet.pending()
    return pending === 0
  }
  const unsettled = await until('the outbox is empty', settled, { within: OUTBOX_WITHIN }).then(
    () => [],
    (): Violation[] => [
      {
        invariant: 'I2',
        what: 'the outbox does not become empty',
        evidence: [`pending after ${OUTBOX_WITHIN / 1000} s: ${pending === -1 ? 'unknown' : pending}`],
      },
    ],
  )
  const allEnded = async () => {
    if (signal.aborted) return true
    await histories.refresh()
    return histories.runs.every(({ ending }) => ending !== null)
  }
  // A run that is still open is no violation: it is judged by its history so far.
  await until('all executions have ended', allEnded, { within: ENDED_WITHIN, every: 500 }).catch(() => undefined)
  signal.throwIfAborted()
  return unsettled
}

/** Temporal's lists may lag: until two of them in a row show nothing new. */
async function listsAreComplete(histories: Histories, signal: AbortSignal): Promise<void> {
  let before = -1
  while (histories.runs.length !== before) {
    before = histories.runs.length
    await delay(LIST_INTERVAL, undefined, { signal })
    await histories.refresh()
  }
}

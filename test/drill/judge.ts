/**
 * The judge: pure functions over what Temporal's histories say, and what callers were answered. The coordinator's own
 * books are believed in one thing only: its reason why an execution never started, and only where Temporal has none.
 */
import { STARTED_TOO_LATE } from '../../shared/failure-types.ts'
import type { DrillWorkflow, Rule } from './workflows.ts'

/** One run, from its history in Temporal. Times in milliseconds since the epoch. */
export interface Run {
  workflowId: string
  runId: string
  type: string
  datacenter: string
  /** By its memo; null when it was not aimed at a node. */
  node: string | null
  startedAt: number
  /** The latest time at which it is known to have been open: its close, or the time of the query that found it open. */
  openUntil: number
  /** Such as `COMPLETED`; null while it is open. */
  ending: string | null
  /** Type of the failure that it ended with. */
  failure: string | null
  /** The end of its `valid_for`, as its start carried it. */
  beginBy: number | null
  /** The trigger that it came from, as its input names it. */
  mark: string | null
  /** Whatever it had done: the types of such events. */
  deeds: readonly string[]
}

/** Something that must not be, with what proves it. */
export interface Violation {
  invariant: 'I1' | 'I2' | 'I3' | 'lost' | 'doubled'
  what: string
  evidence: readonly string[]
}

/** Whether Temporal started a run after its `valid_for`: it has to end without having done anything. */
export function isLate(run: Run): boolean {
  return run.beginBy !== null && run.startedAt > run.beginBy
}

/**
 * I1: the limits of all kinds, over the runs given. The drill gives it those that did something: one that was started
 * too late did nothing on any host, which {@link judgeLate} checks.
 */
export function judgeLimits(kinds: readonly DrillWorkflow[], runs: readonly Run[]): Violation[] {
  return kinds.flatMap(({ name, rules }) => rules.flatMap((rule) => judgeRule(name, rule, runs)))
}

/** I1, of starts that came too late: they did nothing and ended so; and none that came in time was rejected. */
export function judgeLate(runs: readonly Run[]): Violation[] {
  return runs.flatMap((run): Violation[] => {
    const evidence = [describeRun(run), ...run.deeds]
    if (isLate(run)) {
      const acted = run.deeds.length > 0 || run.ending === 'COMPLETED'
      return acted ? [{ invariant: 'I1', what: `${run.type} was started too late, and acted`, evidence }] : []
    }
    const refused = run.failure === STARTED_TOO_LATE
    return refused ? [{ invariant: 'I1', what: `${run.type} was started in time, and rejected`, evidence }] : []
  })
}

/** One trigger as it was sent, and what came back. */
export interface Sent {
  /** Names the trigger; a resend has the same, and its input carries it into Temporal. */
  mark: string
  kind: string
  /** Its `Idempotency-Key`. */
  key: string | null
  /** Null when nothing came back. */
  status: number | null
  code: string | null
  /** The execution's, or at least the decision's. */
  id: string | null
  at: number
}

/** What is known of an execution that a caller was promised. */
export interface Promised {
  id: string
  /** The coordinator's record; null when it has none. */
  record: { status: string; error: { type: string; message: string } | null } | null
  /** The type of what has the execution's id in Temporal, null for nothing. */
  holder: string | null
}

/** Whether an answer promises an execution. */
export function isPromise({ status }: Sent): boolean {
  return status === 200 || status === 201 || status === 202
}

/** I2: each promised execution ran once, or there is a record that says why not. */
export function judgePromises(
  kinds: readonly DrillWorkflow[],
  sent: readonly Sent[],
  promised: readonly Promised[],
  runs: readonly Run[],
): Violation[] {
  const known = new Set(kinds.map(({ name }) => name))
  return promised.flatMap((promise): Violation[] => {
    const { id, record, holder } = promise
    const own = runs.filter(({ workflowId }) => workflowId === id)
    const evidence = [
      ...sent.filter((one) => one.id === id && isPromise(one)).map(describeSent),
      `record: ${record === null ? 'none' : JSON.stringify(record)}`,
      `in Temporal under that id: ${holder ?? 'nothing'}`,
      ...own.map(describeRun),
    ]
    const reason = saysWhyNot(record)
    if (own.length === 0 && (holder === null || !known.has(holder))) {
      return reason
        ? []
        : [{ invariant: 'lost', what: `${id} was promised, and is neither run nor explained`, evidence }]
    }
    // Recorded as canceled, it may have run until it was.
    if (reason && own.some((run) => !isLate(run) && run.ending !== 'CANCELED')) {
      return [{ invariant: 'I2', what: `${id} is recorded as ${record?.status}, and ran`, evidence }]
    }
    return []
  })
}

/** No trigger leads to two runs: neither under one workflow id nor, with a key or without, under two. */
export function judgeDoubles(sent: readonly Sent[], runs: readonly Run[]): Violation[] {
  const marks = groups(runs, ({ mark, workflowId }) => mark ?? workflowId)
  const doubled = marks
    .filter(([, group]) => group.length > 1)
    .map(([mark, group]): Violation => {
      const requests = sent.filter((one) => one.mark === mark).map(describeSent)
      const evidence = [...requests, ...group.map(describeRun)]
      return { invariant: 'doubled', what: `trigger ${mark} led to ${group.length} runs`, evidence }
    })
  const keys = groups(
    sent.filter((one) => isPromise(one) && one.key !== null),
    ({ key }) => key ?? '',
  )
  const twoFaced = keys
    .filter(([, group]) => new Set(group.map(({ id }) => id)).size > 1)
    .map(([key, group]): Violation => {
      const what = `Idempotency-Key ${key} was answered with two executions`
      return { invariant: 'doubled', what, evidence: group.map(describeSent) }
    })
  return [...doubled, ...twoFaced]
}

/** What of a decision matters here. */
export interface Decided {
  workflow: string
  outcome: string
}

/** I3: every run has a decision that admitted its workflow. */
export function judgeDecisions(runs: readonly Run[], decisions: ReadonlyMap<string, Decided>): Violation[] {
  return runs.flatMap((run): Violation[] => {
    const decision = decisions.get(run.workflowId)
    if (decision?.outcome === 'admitted' && decision.workflow === run.type) return []
    const evidence = [describeRun(run), `decision: ${decision === undefined ? 'none' : JSON.stringify(decision)}`]
    return [{ invariant: 'I3', what: `${run.workflowId} runs without a decision that admits it`, evidence }]
  })
}

/** Answers that no trigger of the drill may get. */
export function judgeAnswers(sent: readonly Sent[]): Violation[] {
  const expected = [null, 200, 201, 202, 429, 503]
  return sent
    .filter(({ status }) => !expected.includes(status))
    .map((one) => ({
      invariant: 'I2',
      what: `unexpected answer ${one.status} ${one.code}`,
      evidence: [describeSent(one)],
    }))
}

/** Whether a record explains why nothing ran. */
function saysWhyNot(record: Promised['record']): boolean {
  if (record?.error === null || record?.error === undefined || record.error.message === '') return false
  if (record.status === 'failed') return record.error.type === 'StartRefused'
  return record.status === 'expired' || record.status === 'canceled'
}

/** Runs by what a rule counts together. */
function scopes(runs: readonly Run[], { per, global }: { per?: 'node'; global?: true }): [scope: string, Run[]][] {
  if (global) return groups(runs, () => 'all datacenters')
  if (per === 'node') {
    return groups(
      runs.filter(({ node }) => node !== null),
      ({ datacenter, node }) => `${node}@${datacenter}`,
    )
  }
  return groups(runs, ({ datacenter }) => datacenter)
}

function judgeRule(name: string, rule: Rule, runs: readonly Run[]): Violation[] {
  const own = runs.filter(({ type }) => type === name)
  switch (rule.kind) {
    case 'maxExecution':
      return scopes(own, rule).flatMap(([scope, inScope]) =>
        fullWindows(inScope, rule.value, rule.seconds * 1000).map((window) =>
          passed(
            `${name} in ${scope}: ${window.length} starts within ${rule.seconds} s, permitted ${rule.value}`,
            window,
          ),
        ),
      )
    case 'concurrency':
      return scopes(own, rule).flatMap(([scope, inScope]) =>
        crowds(inScope, (open) => open.length > rule.value).map((open) =>
          passed(`${name} in ${scope}: ${open.length} open at once, permitted ${rule.value}`, open),
        ),
      )
    case 'exclusive': {
      // Whatever else is open on the node counts, of any workflow.
      const shared = (open: readonly Run[]) => open.length > 1 && open.some(({ type }) => type === name)
      return scopes(runs, { per: 'node' }).flatMap(([scope, onNode]) =>
        crowds(onNode, shared).map((open) => passed(`${name} on ${scope}: one of ${open.length} open at once`, open)),
      )
    }
    case 'maxUnavailable': {
      const nodes = (open: readonly Run[]) => new Set(open.map(({ node }) => node)).size
      return scopes(own, {}).flatMap(([scope, inScope]) =>
        crowds(inScope, (open) => nodes(open) > rule.value).map((open) =>
          passed(`${name} in ${scope}: ${nodes(open)} nodes unavailable at once, permitted ${rule.value}`, open),
        ),
      )
    }
  }
}

function passed(what: string, runs: readonly Run[]): Violation {
  return { invariant: 'I1', what, evidence: runs.map(describeRun) }
}

/** Windows of `period` milliseconds that hold more than `limit` starts, without reporting any of them twice. */
export function fullWindows(runs: readonly Run[], limit: number, period: number): Run[][] {
  const sorted = [...runs].sort((a, b) => a.startedAt - b.startedAt)
  const windows: Run[][] = []
  for (let first = 0; first < sorted.length; ) {
    const from = sorted[first]?.startedAt ?? 0
    const window = sorted.slice(first).filter(({ startedAt }) => startedAt - from < period)
    if (window.length > limit) windows.push(window)
    first += window.length > limit ? window.length : 1
  }
  return windows
}

/** The sets of open runs that are `wrong`, each as large as it became before it was right again. */
function crowds(runs: readonly Run[], wrong: (open: readonly Run[]) => boolean): Run[][] {
  const changes = runs.flatMap((run) => [
    { at: run.startedAt, starts: true, run },
    { at: run.openUntil, starts: false, run },
  ])
  // At the same millisecond an end comes first: it made room for the start.
  changes.sort((a, b) => a.at - b.at || Number(a.starts) - Number(b.starts))
  const found: Run[][] = []
  let open: Run[] = []
  let worst: Run[] | undefined
  for (const { starts, run } of changes) {
    // One that ended in the millisecond in which it started was never open beside another.
    if (starts && run.openUntil <= run.startedAt) continue
    open = starts ? [...open, run] : open.filter((one) => one !== run)
    if (!wrong(open)) {
      worst = undefined
    } else if (worst === undefined) {
      worst = [...open]
      found.push(worst)
    } else if (open.length > worst.length) {
      worst.splice(0, worst.length, ...open)
    }
  }
  return found
}

function groups<Item>(items: readonly Item[], keyOf: (item: Item) => string): [string, Item[]][] {
  return [...Map.groupBy(items, keyOf)]
}

function describeRun(run: Run): string {
  const until = run.ending === null ? `open at ${time(run.openUntil)}` : `${run.ending} ${time(run.openUntil)}`
  const late = isLate(run) ? ', too late' : ''
  const place = run.node === null ? run.datacenter : `${run.node}@${run.datacenter}`
  return `${run.type} ${run.workflowId} run ${run.runId} on ${place}: started ${time(run.startedAt)}${late}, ${until}`
}

function describeSent({ mark, kind, key, status, code, id, at }: Sent): string {
  const answer = status === null ? 'no answer' : `${status}${code === null ? '' : ` ${code}`}`
  return `trigger ${mark} of ${kind}${key === null ? '' : ` with key ${key}`}, sent ${time(at)}: ${answer} ${id ?? ''}`.trim()
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23)
}

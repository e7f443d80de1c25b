/** Answers of the coordinator for people to read. */
import Table from 'cli-table3'
import type { Rejection } from '../../shared/rejection.ts'
import type { Decision, Execution, Freeze, LiveNode, Problem, SignalSummary } from '../../shared/wire.ts'
import type { Explanation } from '../detector/explain.ts'
import { scopeText, targetText } from '../net/summaries.ts'

const BORDERLESS = {
  chars: {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
}

export function executionTable({ items }: { items: Execution[] }): string {
  if (items.length === 0) return 'no executions'
  return table(
    ['ID', 'WORKFLOW', 'TARGET', 'STATUS', 'ADMITTED', 'TOOK'],
    items.map((execution) => [
      execution.id ?? `(not admitted) ${execution.workflow_id}`,
      execution.workflow,
      targetText(execution.target),
      execution.status,
      execution.admitted_at ?? '',
      tookText(execution),
    ]),
  )
}

export function decisionTable({ items }: { items: Decision[] }): string {
  if (items.length === 0) return 'no decisions'
  return table(
    ['ID', 'WORKFLOW', 'TARGET', 'OUTCOME', 'CALLER', 'AT', 'WHY'],
    items.map((decision) => [
      decision.id ?? '',
      decision.workflow,
      targetText(decision.target),
      decision.outcome,
      decision.caller,
      decision.at,
      decision.code ?? decision.reason ?? '',
    ]),
  )
}

export function nodeTable(body: unknown): string {
  const { items } = body as { items: LiveNode[] }
  if (items.length === 0) return 'no live nodes'
  return table(
    ['NODE', 'DATACENTER', 'TYPES', 'QUEUES', 'VERSION', 'LAST SEEN'],
    items.map((node) => [
      node.node,
      node.datacenter,
      node.types.join(' '),
      node.queues.map((queue) => queue.name).join(' '),
      `${node.version ?? 'unknown'}${node.outdated ? ' (outdated)' : ''}`,
      node.last_seen_at,
    ]),
  )
}

/** The effectiveness of signals over a time. */
export function signalTable({ items }: { items: SignalSummary[] }, over: keyof SignalSummary['windows']): string {
  if (items.length === 0) return 'no signal has fired in the last 30 days'
  return table(
    ['SIGNAL', 'WORKFLOW', 'FIRED', 'ADMITTED', 'DENIED', 'HELPED', 'FLAPPED', 'NEVER ACTED ON', 'OPEN', 'LAST FIRED'],
    items.map(({ source, name, workflow, last_fired_at, windows }) => {
      const { fired, admitted, denied, helped, flapped, never_acted_on, open } = windows[over]
      const counts = [fired, admitted, denied, helped, flapped, never_acted_on, open].map(String)
      return [`${source} ${name}`, workflow || '-', ...counts, last_fired_at]
    }),
  )
}

export function freezeTable({ items }: { items: Freeze[] }): string {
  if (items.length === 0) return 'nothing is frozen'
  return table(
    ['ID', 'COVERS', 'UNTIL', 'BY', 'REASON'],
    items.map((freeze) => [
      freeze.id,
      scopeText(freeze.scope),
      freeze.expires_at ?? 'it is lifted',
      freeze.caller,
      freeze.reason,
    ]),
  )
}

/** Callers and how often they were rejected, as `resile rejections` prints them. */
export function rejectionTable({ items }: { items: Rejection[] }): string {
  if (items.length === 0) return 'nobody was rejected'
  return table(
    ['CALLER', 'FROM', '401', '403', 'BAD SIGNATURE', 'BAD PERMIT', 'LAST', 'LAST SEEN'],
    items.map(({ caller, from, counts, last, last_at }) => [
      caller,
      from ?? '-',
      String(counts.unauthenticated),
      String(counts.forbidden),
      String(counts.bad_signature),
      String(counts.bad_permit),
      last,
      last_at,
    ]),
  )
}

export function freezeDetails(freeze: Freeze): string {
  return fields([
    ['freeze', freeze.id],
    ['covers', scopeText(freeze.scope)],
    ['reason', freeze.reason],
    ['by', freeze.caller],
    ['since', freeze.created_at],
    ['until', freeze.expires_at ?? 'it is lifted'],
  ])
}

export function executionDetails(execution: Execution): string {
  return fields([
    ['execution', execution.id],
    ['workflow', execution.workflow],
    ['target', targetText(execution.target)],
    ['task queue', execution.task_queue],
    ['status', execution.status],
    ['admitted', execution.admitted_at],
    ['started', execution.started_at],
    ['closed', execution.closed_at],
    ['run id', execution.run_id],
    ['result', execution.result === null ? null : JSON.stringify(execution.result, null, 2)],
    ['error', execution.error === null ? null : JSON.stringify(execution.error, null, 2)],
  ])
}

export function decisionDetails(decision: Decision): string {
  const head = fields([
    ['decision', decision.id],
    ['workflow', decision.workflow],
    ['target', targetText(decision.target)],
    ['outcome', decision.code === null ? decision.outcome : `${decision.outcome}: ${decision.code}`],
    ['caller', decision.caller],
    ['at', decision.at],
    ['reason', decision.reason],
    ['allowed at', decision.allowed_at],
    ['freeze', decision.freeze],
    ['approved', decision.approval === undefined ? null : approvalText(decision.approval)],
    [
      'repeated',
      decision.repeated === undefined ? null : `${decision.repeated.count} times until ${decision.repeated.until}`,
    ],
  ])
  if (decision.constraints.length === 0) return `${head}\n  no constraints`
  const receipt = table(
    ['CONSTRAINT', 'COUNTED IN', 'USED', 'LIMIT', 'PERIOD', 'ALLOWED AT', ''],
    decision.constraints.map((line) => [
      line.kind,
      `${line.scope} ${line.key}`,
      String(line.used),
      String(line.limit),
      line.period ?? '',
      line.allowed_at ?? 'not by time alone',
      line.binding ? 'binding' : '',
    ]),
  )
  return `${head}\n${receipt}`
}

function approvalText({ caller, at, reason }: NonNullable<Decision['approval']>): string {
  return `by ${caller} at ${at}${reason === null ? '' : `: ${reason}`}`
}

/** What a detector observes, and why it would or wouldn't trigger. */
export function explanationText({ detector, source, workflow, sees, detail, conditions }: Explanation): string {
  const found = sees === 'conditions' ? `${conditions.length} condition(s)` : sees.replaceAll('_', ' ')
  const head = `${detector} (${source} → ${workflow}): ${found}${detail === null ? '' : `: ${detail}`}`
  const lines = conditions.map(({ summary, would_trigger, why, trigger }) => {
    const target = trigger === null ? '' : ` for ${targetText(trigger.target ?? {})}`
    return `  ${summary}\n    ${would_trigger ? `would trigger${target}` : 'would not trigger'}: ${why}`
  })
  return printable([head, ...lines].join('\n'))
}

/** A problem document, with the receipt of the decision that it carries. */
export function problemDetails(status: number, problem: Problem | null): string {
  if (problem === null || typeof problem.detail !== 'string') return `resile: HTTP ${status}`
  const errors = (problem.errors ?? []).map(({ path, message }) => `\n  ${path || '(body)'}: ${message}`)
  const { decision } = problem
  const receipt =
    decision === undefined ? '' : `\n${'at' in decision ? decisionDetails(decision) : `decision: ${decision.id}`}`
  return printable(`resile: ${problem.code}: ${problem.detail}${errors.join('')}${receipt}`)
}

function tookText({ started_at, closed_at }: Execution): string {
  if (started_at === null || closed_at === null) return ''
  return `${((Date.parse(closed_at) - Date.parse(started_at)) / 1000).toFixed(1)} s`
}

/** Texts come from outside: none may control the terminal. Line breaks of indented JSON are kept. */
export function printable(text: string): string {
  return text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
}

/** Lines with a heading over each column. */
export function table(head: string[], rows: string[][]): string {
  const lines = new Table({ ...BORDERLESS, head })
  lines.push(...rows.map((row) => row.map(printable)))
  return lines.toString()
}

function fields(pairs: readonly [string, string | null][]): string {
  return pairs
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${`${name}:`.padEnd(12)}${printable(value ?? '')}`)
    .join('\n')
}

/** What differs between two configurations, in operators' terms. */
import { type Config, type ConfigDocument, type Constraint, documentSchema } from '../../shared/config.ts'
import { formatDuration } from '../../shared/duration.ts'

/** One difference. */
export interface Change {
  /** What it is about, such as a workflow's name. */
  subject: string
  /** What becomes of it: `maxExecution 3 → 5 per 24h`. */
  change: string
  /** The constraint that was in force, for its use; null for a change of anything else. */
  constraint: Constraint | null
}

/** Lists what a coordinator would do differently. */
export function diffDocuments(before: ConfigDocument, after: ConfigDocument): Change[] {
  const [old, now] = [documentSchema.parse(before), documentSchema.parse(after)]
  const names = [...new Set([...Object.keys(old.workflows), ...Object.keys(now.workflows)])].sort()
  return [
    ...names.flatMap((name) => workflowChanges(name, [before, after], [old, now])),
    ...differences(before.coordinator, after.coordinator).map((change) => ({ subject: 'coordinator.hcl', ...change })),
    ...differences(before.detectors, after.detectors).map((change) => ({ subject: 'detectors.hcl', ...change })),
  ].map((change) => ({ constraint: null, ...change }))
}

type Pair<Value> = readonly [before: Value, after: Value]

function workflowChanges(
  name: string,
  documents: Pair<ConfigDocument>,
  configs: Pair<Config>,
): (Pick<Change, 'subject' | 'change'> & Partial<Change>)[] {
  const [old, now] = configs.map(({ workflows }) => workflows[name])
  if (old === undefined && now === undefined) return []
  if (old === undefined) return [{ subject: name, change: `new workflow${limitsOf(now?.constraint ?? [])}` }]
  if (now === undefined) return [{ subject: name, change: 'removed; what runs of it goes on' }]
  const [before, after] = documents.map(({ workflows }) => {
    const { constraint: _, ...rest } = { ...(workflows[name] as Record<string, unknown>) }
    return rest
  })
  return [
    ...constraintChanges(old.constraint, now.constraint).map((change) => ({ subject: name, ...change })),
    ...differences(before, after).map((change) => ({ subject: name, ...change })),
  ]
}

function limitsOf(constraints: readonly Constraint[]): string {
  return constraints.length === 0 ? ' without constraints' : `: ${constraints.map(described).join(', ')}`
}

function constraintChanges(before: readonly Constraint[], after: readonly Constraint[]): Omit<Change, 'subject'>[] {
  const kinds = [...new Set([...before, ...after].map(labelOf))]
  return kinds.flatMap((label) => {
    const [old, now] = [before, after].map((list) => list.filter((one) => labelOf(one) === label))
    const count = Math.max(old?.length ?? 0, now?.length ?? 0)
    return Array.from({ length: count }, (_, index) => constraintChange(old?.[index], now?.[index])).flat()
  })
}

function constraintChange(old: Constraint | undefined, now: Constraint | undefined): Omit<Change, 'subject'>[] {
  if (old === undefined) return now === undefined ? [] : [{ change: `new: ${described(now)}`, constraint: null }]
  if (now === undefined) return [{ change: `removed: ${described(old)}`, constraint: old }]
  if (described(old) === described(now)) return []
  const isSamePeriod = old.period === now.period
  const change = isSamePeriod
    ? `${labelOf(old)} ${limitOf(old)} → ${limitOf(now)}${periodOf(now)}`
    : `${described(old)} → ${limitOf(now)}${periodOf(now)}`
  return [{ change, constraint: old }]
}

/** What tells one constraint of a workflow from another: its kind, and what it counts over. */
function labelOf({ kind, per, is_global }: Constraint): string {
  return `${kind}${per === undefined ? '' : ' per node'}${is_global ? ' over all datacenters' : ''}`
}

function limitOf({ value, percent }: Constraint): string {
  return `${value}${percent === true ? '%' : ''}`
}

function periodOf({ period }: Constraint): string {
  return period === undefined ? '' : ` per ${formatDuration(period)}`
}

function described(constraint: Constraint): string {
  return constraint.kind === 'exclusive'
    ? labelOf(constraint)
    : `${labelOf(constraint)} ${limitOf(constraint)}${periodOf(constraint)}`
}

/** The keys whose values differ, as far down as both sides have them. Blocks in a list are told apart by their names. */
function differences(before: unknown, after: unknown, path = ''): { change: string }[] {
  const [old, now] = [keyed(before), keyed(after)]
  if (old === null || now === null) {
    if (JSON.stringify(before) === JSON.stringify(after)) return []
    if (before === undefined) return [{ change: `${path}: new${brief(after)}` }]
    if (after === undefined) return [{ change: `${path}: removed${brief(before)}` }]
    return [{ change: `${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}` }]
  }
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((key) =>
    differences(old[key], now[key], path === '' ? key : `${path}.${key}`),
  )
}

/** A scalar that was not there before, or is not any more. Blocks are only named. */
function brief(value: unknown): string {
  return keyed(value) === null ? `, ${JSON.stringify(value)}` : ''
}

function keyed(value: unknown): Record<string, unknown> | null {
  if (Array.isArray(value)) {
    const names = value.map((item: unknown) => (isBlock(item) ? item['name'] : undefined))
    if (names.length === 0 || names.some((name) => typeof name !== 'string')) return null
    return Object.fromEntries(value.map((item: unknown, index) => [`"${String(names[index])}"`, item]))
  }
  return isBlock(value) ? value : null
}

function isBlock(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The report of a drill as text. */
import type { Contrast } from './contrast.ts'
import type { Sent, Violation } from './judge.ts'
import type { PlannedRound } from './plan.ts'

/** A round, when it is over. */
export interface RoundReport {
  round: number
  faults: string[]
  triggers: number
  /** As {@link countAnswers} counts them; `none` for no answer. */
  answers: Record<string, number>
  started: number
  /** What had not recovered in time. */
  notRecovered: string[]
  /** Of the whole drill, as far as it can be said. */
  violations: number
  seconds: number
}

/** A whole drill. */
export interface DrillReport {
  seed: number
  datacenters: string[]
  rounds: RoundReport[]
  triggers: number
  answers: Record<string, number>
  started: number
  /** By workflow. */
  startedOf: Record<string, number>
  /** Starts that Temporal got after their `valid_for`, and those of them that it took; these did nothing. */
  late: { delivered: number; started: number; overLimit: number }
  violations: Violation[]
  lost: Violation[]
  doubled: Violation[]
  contrast: Contrast | null
  seconds: number
}

/** How often each status was answered; a 503 is shown with its code, since that says who was not there. */
export function countAnswers(sent: readonly Sent[]): Record<string, number> {
  return countBy(sent, ({ status, code }) => (status === 503 ? `503 ${code}` : String(status ?? 'none')))
}

/** How often each of the names that `nameOf` gives occurs, in the order of the names. */
export function countBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Record<string, number> {
  const counts = [...Map.groupBy(items, nameOf)].map(([name, group]): [string, number] => [name, group.length])
  return Object.fromEntries(counts.sort(([a], [b]) => (a < b ? -1 : 1)))
}

export function namesOf({ faults }: PlannedRound): string[] {
  return faults.map(({ at, fault }) => `${fault.name} (at ${(at / 1000).toFixed(1)} s)`)
}

export function roundLine({
  round,
  faults,
  triggers,
  answers,
  started,
  notRecovered,
  violations,
  seconds,
}: RoundReport): string {
  const recovery = notRecovered.length === 0 ? '' : `; not recovered: ${notRecovered.join(', ')}`
  return `round ${round}: ${faults.join(', ')}; triggers ${triggers}: ${countsText(answers)}; started ${started}, violations ${violations} [${seconds.toFixed(1)} s]${recovery}`
}

function contrastLine({ races, triggers, started, permitted, overshoot }: Contrast): string {
  return `contrast: admission by visibility counts started ${started} where ${permitted} were permitted (overshoot ${overshoot}; ${races} races, ${triggers} triggers, no faults)`
}

/** All lines of the end; the last is the summary. */
export function closingLines(report: DrillReport): string[] {
  const { late, rounds, triggers, started, violations, lost, doubled } = report
  return [
    ...[...violations, ...lost, ...doubled].flatMap(({ invariant, what, evidence }) => [
      `VIOLATION ${invariant}: ${what}`,
      ...evidence.map((line) => `    ${line}`),
    ]),
    `answers: ${countsText(report.answers)}`,
    `started: ${countsText(report.startedOf)}`,
    `late: ${late.delivered} starts reached Temporal after their valid_for, it took ${late.started} of them, and these did nothing${
      late.overLimit === 0 ? '' : ` (${late.overLimit} limits would have been passed had they acted)`
    }`,
    ...(report.contrast === null ? [] : [contrastLine(report.contrast)]),
    `rounds ${rounds.length}, triggers ${triggers}, started ${started}, violations ${violations.length}, lost ${lost.length}, doubled ${doubled.length}`,
  ]
}

function countsText(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ×${count}`)
    .join(', ')
}

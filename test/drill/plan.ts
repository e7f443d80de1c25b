/** What happens in a round: drawn from the seed before it begins, so that a seed gives the same drill again. */
import { drawFault, type Fault, holdBeyondValidFor, loseRepliesBeyondValidFor, SHORT_VALID_FOR } from './faults.ts'
import type { FleetNode } from './fleet.ts'
import type { Random } from './random.ts'
import type { DrillWorkflow } from './workflows.ts'

/** A trigger to be sent; times in milliseconds. */
export interface PlannedTrigger {
  mark: string
  kind: string
  target: { node?: string; datacenter?: string }
  /** Null without an `Idempotency-Key`. */
  key: string | null
  /** What its workflow does: `acts` on its host, or sleeps, for so long. */
  input: { mark: string; ms: number; acts: boolean }
  /** In seconds; null: as long as its workflow's. */
  validFor: number | null
  /** In seconds. */
  wait: 0 | 2
  /** From the round's begin. */
  at: number
  /** How long after the first request the same is sent again, whatever has become of it; null: not. */
  resendAfter: number | null
  /** How long after its answer the execution is cancelled; null: not. */
  cancelAfter: number | null
}

export interface PlannedRound {
  number: number
  faults: { at: number; fault: Fault }[]
  /** While the faults are on. */
  triggers: PlannedTrigger[]
  /** When all is well again; `at` counts from then. */
  afterwards: PlannedTrigger[]
}

/** In two of three rounds a fault outlasts the `valid_for` of triggers that are sent into it: the first, the second, none. */
const LASTING = [[], [holdBeyondValidFor], [loseRepliesBeyondValidFor]]
/** Faults begin within this time. */
const FAULTS_BEGIN = 1200

/** Draws a round. */
export function planRound(
  random: Random,
  number: number,
  kinds: readonly DrillWorkflow[],
  nodes: readonly FleetNode[],
): PlannedRound {
  const draws = LASTING[number % LASTING.length] ?? []
  const lasting = draws.map((draw) => ({ at: random.whole(0, 300), fault: draw(random) }))
  const faults = [...lasting]
  const count = random.whole(1, 3)
  const names = nodes.map(({ name }) => name)
  while (faults.length < count) {
    const taken = new Set(faults.map(({ fault }) => fault.subject))
    faults.push({ at: random.whole(0, FAULTS_BEGIN), fault: drawFault(random, names, taken) })
  }
  let sent = 0
  const trigger = (
    at: number,
    among: readonly DrillWorkflow[] = kinds,
    validFor: number | null = null,
  ): PlannedTrigger => {
    sent += 1
    return drawTrigger(random, `${number}-${sent}`, at, among, nodes, validFor)
  }
  // Half of each burst is of one workflow: a limit is only put to the test by many who want the same.
  const burst = (at: number, least: number, most: number) => {
    const wanted = random.pick(kinds, ({ share }) => share)
    return Array.from({ length: random.whole(least, most) }, () =>
      random.chance(0.5)
        ? trigger(at + random.whole(0, 20), [wanted])
        : trigger(Math.max(at + random.whole(-60, 60), 0)),
    )
  }
  const anywhere = kinds.filter(({ target }) => target === 'datacenter')
  return {
    number,
    faults,
    triggers: [
      // Around each fault's begin, where what is in progress is cut in the middle, and some time into it.
      ...faults.flatMap(({ at }) => [...burst(at, 8, 14), ...burst(at + random.whole(300, 2000), 6, 12)]),
      ...lasting.flatMap(({ at }) =>
        Array.from({ length: 8 }, () => trigger(at + random.whole(50, 300), anywhere, SHORT_VALID_FOR)),
      ),
    ],
    afterwards: burst(60, 10, 16),
  }
}

function drawTrigger(
  random: Random,
  mark: string,
  at: number,
  kinds: readonly DrillWorkflow[],
  nodes: readonly FleetNode[],
  validFor: number | null,
): PlannedTrigger {
  const kind = random.pick(kinds, ({ share }) => share)
  const { name: node, datacenter } = random.pick(nodes.filter(({ type }) => type === (kind.nodeType ?? 'web')))
  const keyed = random.chance(0.5)
  return {
    mark,
    kind: kind.name,
    target: kind.target === 'node' ? { node, ...(random.chance(0.3) ? { datacenter } : {}) } : { datacenter },
    key: keyed ? `key-${mark}` : null,
    input: { mark, ms: random.pick([100, 100, 300, 800, 2000, 5000]), acts: random.chance(0.4) },
    validFor: validFor ?? (random.chance(0.15) ? random.whole(1, 4) : null),
    wait: random.chance(0.5) ? 0 : 2,
    at,
    resendAfter: keyed && random.chance(0.5) ? random.whole(0, 2500) : null,
    cancelAfter: random.chance(0.05) ? random.whole(0, 1000) : null,
  }
}

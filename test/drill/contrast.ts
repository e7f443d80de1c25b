/** The same race against another admission: shows that it is the coordinator, and not luck, that keeps to a limit. */
import { randomUUID } from 'node:crypto'
import type { Temporal } from '../support/temporal.ts'
import { Histories } from './histories.ts'
import { fullWindows } from './judge.ts'
import { VisibilityAdmission } from './visibility-admission.ts'

/** What came of it, over all races. */
export interface Contrast {
  races: number
  triggers: number
  started: number
  permitted: number
  overshoot: number
}

const RACES = 4
/** Triggers of one race, all at once. */
const TRIGGERS = 50
const LIMIT = { value: 3, period: 60_000 }

/** Lets triggers race against admission by Visibility counts, without any fault; each race has a separate workflow type. */
export async function raceVisibility(temporal: Temporal): Promise<Contrast> {
  const contrast = { races: 0, triggers: 0, started: 0, permitted: 0, overshoot: 0 }
  for (let race = 1; race <= RACES; race++) {
    const type = `contrast${race}`
    const admission = new VisibilityAdmission(temporal, { type, ...LIMIT })
    const answers = await Promise.all(Array.from({ length: TRIGGERS }, () => admission.trigger(randomUUID())))
    await temporal.listOnce(type, answers.filter((started) => started).length)
    const histories = new Histories(temporal, [type])
    await histories.refresh()
    const tooMany = fullWindows(histories.runs, LIMIT.value, LIMIT.period)
    contrast.races += 1
    contrast.triggers += TRIGGERS
    contrast.started += histories.runs.length
    contrast.permitted += LIMIT.value
    contrast.overshoot += tooMany.reduce((sum, window) => sum + window.length - LIMIT.value, 0)
  }
  return contrast
}

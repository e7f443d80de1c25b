/** One round: triggers and faults at the same time, then healing, then triggers to a whole fleet. */
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../support/until.ts'
import type { Fleet } from './fleet.ts'
import type { PlannedRound } from './plan.ts'
import type { Callers } from './triggers.ts'

/** How long the fleet may take to recover, in milliseconds; the round goes on in any case. */
const HEAL_WITHIN = 30_000

/** Runs one round, and returns what had not recovered in time. */
export async function runRound(
  fleet: Fleet,
  callers: Callers,
  { faults, triggers, afterwards }: PlannedRound,
  signal: AbortSignal,
): Promise<string[]> {
  const injected = faults.map(async ({ at, fault }) => {
    await delay(at, undefined, { signal })
    await fault.inject(fleet, signal)
  })
  await Promise.all([callers.send(triggers), ...injected])
  const notRecovered = await waitForRecovery(fleet, signal)
  await Promise.all([callers.sendAgain(), callers.send(afterwards)])
  return notRecovered
}

async function waitForRecovery(fleet: Fleet, signal: AbortSignal): Promise<string[]> {
  let ailments: string[] = []
  const isWhole = async () => {
    if (signal.aborted) return true
    ailments = await fleet.ailments()
    return ailments.length === 0
  }
  await until('the fleet is whole', isWhole, { within: HEAL_WITHIN }).catch(() => undefined)
  signal.throwIfAborted()
  return ailments
}

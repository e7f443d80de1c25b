import { describe, expect, it } from 'vitest'
import { pauseUntilWell, pauseWhileWell } from './pauses.ts'

const HOUR = 3_600_000
const EVENTS_PER_LOOK = 11

/** Looks that are made within a time, in milliseconds. */
function looks(within: number, pause: (waited: number) => number): number {
  let count = 1
  for (let waited = pause(0); waited < within; waited += pause(waited)) count += 1
  return count
}

describe("wait of 24 h → history within Temporal's limit", () => {
  it.each([
    ['for what never gets well', pauseUntilWell],
    ['for what is well now and then, and has to be so for 30 s', (waited: number) => pauseWhileWell(waited, 30_000)],
    ['for what has to be well for 23 h', (waited: number) => pauseWhileWell(waited, 23 * HOUR)],
  ])('%s', (_, pause) => {
    expect(looks(24 * HOUR, pause) * EVENTS_PER_LOOK).toBeLessThan(51_200 / 2)
  })
})

it('pauses: first seconds → every second', () => {
  expect([pauseUntilWell(0), pauseUntilWell(15_000), pauseWhileWell(100_000, 10_000)]).toEqual([1000, 1000, 1000])
})

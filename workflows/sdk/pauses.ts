/**
 * How long to wait between two looks. Each look adds some 11 events to an execution's history, which Temporal ends at 51,200;
 * in the max wait of 24 h, whatever is found, they stay below half of that. Looks at a pool meanwhile add some 6 events
 * each, and together a fifth of it.
 */

/** Shortest and max, in milliseconds. */
const PAUSE = { min: 1000, minWhileOut: 10_000, max: 60_000 }
/** At least these parts: of the time waited so far, and of the time for which all has to stay well. */
const SHARE = { waited: 1 / 20, waitedWhileWell: 1 / 200, steady: 1 / 20 }

/** The wait before the next check of something that is not yet as it should be. @param waited milliseconds since the first check */
export function pauseUntilWell(waited: number): number {
  return bounded(waited * SHARE.waited)
}

/** The wait before the next check of something healthy that has to stay so for `steady`: shorter, to miss nothing. In milliseconds. */
export function pauseWhileWell(waited: number, steady: number): number {
  return bounded(Math.max(waited * SHARE.waitedWhileWell, steady * SHARE.steady))
}

/** The wait before the load balancer is asked again whether a server is still out. @param waited milliseconds since the first time */
export function pauseWhileOut(waited: number): number {
  return bounded(waited * SHARE.waited, PAUSE.minWhileOut)
}

function bounded(pause: number, min = PAUSE.min): number {
  return Math.min(Math.max(pause, min), PAUSE.max)
}

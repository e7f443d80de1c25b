/** Exponential back-off, with and without jitter. */

/** The wait before the first retry, and the longest one, in milliseconds. */
export interface BackoffLimits {
  first: number
  max: number
}

/**
 * The wait before an attempt that follows `attempts` failed ones: doubles from one to the next.
 *
 * @param attempts failed so far, from 1
 * @returns milliseconds
 */
export function exponentialWait(attempts: number, { first, max }: BackoffLimits): number {
  return Math.min(first * 2 ** Math.min(attempts - 1, 30), max)
}

/**
 * {@link exponentialWait} plus or minus 20 %, so that what failed at the same time is not retried at the same time.
 *
 * @param random a number from 0 to 1
 */
export function backoff(attempts: number, limits: BackoffLimits, random = Math.random): number {
  return exponentialWait(attempts, limits) * (0.8 + 0.4 * random())
}

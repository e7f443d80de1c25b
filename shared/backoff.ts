/** Exponential back-off with jitter. */

/**
 * The wait before an attempt that follows `attempts` failed ones: doubles from one to the next, plus or minus 20 %, so that
 * what failed at the same time is not retried at the same time.
 *
 * @param attempts failed so far, from 1
 * @returns milliseconds
 */
export function backoff(
  attempts: number,
  { first, max }: { first: number; max: number },
  random = Math.random,
): number {
  const wait = Math.min(first * 2 ** Math.min(attempts - 1, 30), max)
  return wait * (0.8 + 0.4 * random())
}

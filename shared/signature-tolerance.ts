/** How far the time of a signed message may be from ours, in both directions, in milliseconds. */
export const SIGNATURE_TOLERANCE_MS = 5 * 60_000

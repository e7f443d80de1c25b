/** What takes longer, or is more, in `npm run soak`, which sets RESILE_SOAK to `short` or `long`. */
const mode = process.env['RESILE_SOAK']

/** The second outside of the soak suite, else the first. */
export function soaking<T>(inSoak: T, otherwise: T): T {
  return mode === undefined ? otherwise : inSoak
}

/** The first in the long form of the soak suite alone. */
export function lengthy<T>(inLongForm: T, otherwise: T): T {
  return mode === 'long' ? inLongForm : otherwise
}

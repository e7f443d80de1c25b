/** Fingerprints of sets of labels: the first 16 hex digits of the SHA-256 of {@link fingerprintText}. */

/** Hex digits of a fingerprint. */
export const FINGERPRINT_LENGTH = 16

/** What is hashed: the pairs, sorted by name, as JSON. The same labels have the same text in whatever order they come. */
export function fingerprintText(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
}

import { createHash } from 'node:crypto'
import { FINGERPRINT_LENGTH, fingerprintText } from '../../../shared/fingerprint.ts'
import type { SignalFacts } from '../../../shared/interpolate.ts'

/** One thing that a signal source found wrong. */
export interface Firing extends SignalFacts {
  value: string
  /** Names the thing among all that its detector watches; the same each time it is found. */
  fingerprint: string
  /** In words, for the trigger's `reason`. */
  summary: string
}

/** The result of one poll of a source: what fires now, or (with `unknown`) why that is not known. */
export type Observation = { firing: readonly Firing[] } | { unknown: string }

/** The fingerprint of a set of labels. */
export function fingerprintOf(labels: Readonly<Record<string, string>>): string {
  return createHash('sha256').update(fingerprintText(labels)).digest('hex').slice(0, FINGERPRINT_LENGTH)
}

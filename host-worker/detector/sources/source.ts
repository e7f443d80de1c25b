/** Where signals come from. */
import type { EventName } from '../../../shared/events.ts'
import type { Observation } from '../observation.ts'

/** The source of one detector. It is never asked twice at the same time. */
export interface Source {
  /**
   * Looks once, and says what fires now. Never throws.
   *
   * @param now milliseconds since the epoch
   */
  observe(now: number): Promise<Observation>
  /** Plain JSON: what the next process has to know, so that nothing is missed or seen twice. */
  state?(): unknown
  /** What was noticed since the last call, and somebody should know. */
  notices?(): Notice[]
  close?(): Promise<void>
}

/** Something for the log that is neither a firing nor blindness. */
export interface Notice {
  level: 'info' | 'warn' | 'error'
  event: EventName
  [field: string]: unknown
}

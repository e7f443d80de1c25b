/** Where signals come from. */
import type { EventName } from '../../../shared/events.ts'
import type { Observation } from './observation.ts'

/** The source of one detector. It is never asked twice at the same time. */
export interface Source {
  /**
   * Polls once, and says what fires now. Never throws.
   *
   * @param now milliseconds since the epoch
   */
  observe(now: number): Promise<Observation>
  /** Plain JSON: what the next process has to know, so that nothing is missed or seen twice. */
  state?(): unknown
  /** Notices since the last call that operators should see. */
  notices?(): Notice[]
  close?(): Promise<void>
}

/** Something for the log that is neither a firing nor blindness. */
export interface Notice {
  level: 'info' | 'warn' | 'error'
  event: EventName
  [field: string]: unknown
}

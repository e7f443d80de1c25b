import type { Notice } from '../source.ts'

/** Notices kept between two calls; what happens more often than this is not read by anyone. */
const MAX_NOTICES = 100

/** Notices until they are taken. */
export class Notices {
  #kept: Notice[] = []
  #dropped = 0

  add(notice: Notice): void {
    if (this.#kept.length < MAX_NOTICES) this.#kept.push(notice)
    else this.#dropped += 1
  }

  /** All since the last call; with one more that counts those that were too many. */
  take(): Notice[] {
    const taken = this.#kept
    if (this.#dropped > 0) taken.push({ event: 'notices_dropped', level: 'warn', number: this.#dropped })
    this.#kept = []
    this.#dropped = 0
    return taken
  }
}

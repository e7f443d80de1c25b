/** Signed messages that were received, until their times have passed. Times in milliseconds. */

/** Messages that are remembered at most. */
const MAX_MESSAGES = 100_000

/** Answer to a message: it is new, it was received before, or it can't be remembered. */
export type MessageAnswer = 'new' | 'replayed' | 'full'

/** The ids and times of messages by webhook. */
export class MessageStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /**
   * Remembers one attempt to deliver a message.
   *
   * @param timestamp when the attempt was made, in seconds as the sender says
   * @param until when the attempt is too old to be valid
   */
  remember(webhook: string, id: string, timestamp: number, until: number, most = MAX_MESSAGES): MessageAnswer {
    const known = this.#sql.exec(
      'SELECT 1 FROM messages WHERE webhook = ? AND id = ? AND at = ?',
      webhook,
      id,
      timestamp,
    )
    if (known.toArray().length > 0) return 'replayed'
    if (this.#atMost() >= most) return 'full'
    this.#sql.exec('INSERT INTO messages (webhook, id, at, until) VALUES (?, ?, ?, ?)', webhook, id, timestamp, until)
    return 'new'
  }

  forgetExpired(now: number): void {
    this.#sql.exec('DELETE FROM messages WHERE until <= ?', now)
  }

  /** Their number is limited: they are numbered in order, and the oldest are deleted first. */
  #atMost(): number {
    const sql = 'SELECT max(number) - min(number) + 1 AS count FROM messages'
    return this.#sql.exec<{ count: number | null }>(sql).one().count ?? 0
  }
}

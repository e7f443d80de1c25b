/** A worker's connection to Temporal, which is made again when its credentials change. */
import { setTimeout as sleep } from 'node:timers/promises'
import { NativeConnection, type Worker } from '@temporalio/worker'
import { exponentialWait } from '../../shared/backoff.ts'
import { log, messageOf } from '../../shared/log.ts'
import type { Credentials } from '../net/client-credentials.ts'
import { type TemporalAddress, TemporalConnector } from '../net/temporal-connector.ts'
import { untilAborted } from '../process/stop-signal.ts'

/** Waits between attempts to reach Temporal at the start. */
const RECONNECT_BACKOFF_MS = { first: 250, max: 5000 }
/** How often the files of its credentials are checked. */
const POLL_INTERVAL_MS = 5000

/** The connection that all queues of a worker share. */
export class TemporalLink {
  readonly #connector: TemporalConnector
  #credentials: Credentials
  #connection: NativeConnection

  private constructor(connector: TemporalConnector, credentials: Credentials, connection: NativeConnection) {
    this.#connector = connector
    this.#credentials = credentials
    this.#connection = connection
  }

  /**
   * Connects, however long it takes; null when the signal aborts first.
   *
   * @param note called after each attempt with the problem; null when there is none
   */
  static async connect(
    temporal: TemporalAddress,
    note: (problem: string | null) => void,
    signal: AbortSignal,
  ): Promise<TemporalLink | null> {
    const connector = new TemporalConnector(temporal)
    const stopped = untilAborted(signal).then(() => null)
    for (let attempts = 1; !signal.aborted; attempts += 1) {
      try {
        const credentials = await connector.credentials()
        const connection = await Promise.race([NativeConnection.connect(connector.options(credentials)), stopped])
        if (connection === null) return null
        note(null)
        return new TemporalLink(connector, credentials, connection)
      } catch (error) {
        note(messageOf(error))
        await Promise.race([sleep(exponentialWait(attempts, RECONNECT_BACKOFF_MS)), stopped])
      }
    }
    return null
  }

  /** The connection; another one after the credentials have changed. */
  get connection(): NativeConnection {
    return this.#connection
  }

  /** Moves the workers to a new connection whenever the credentials have changed, until the signal aborts. */
  async keepCurrent(workers: readonly Worker[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(POLL_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      try {
        await this.#renew(workers)
      } catch (error) {
        // The present connection goes on: perhaps the files are half written.
        log('error', 'temporal_credentials_not_reloaded', { detail: messageOf(error) })
      }
    }
  }

  async #renew(workers: readonly Worker[]): Promise<void> {
    const credentials = await this.#connector.credentials()
    if (credentials === this.#credentials) return
    const previous = this.#connection
    const connection = await NativeConnection.connect(this.#connector.options(credentials))
    for (const worker of workers) worker.connection = connection
    this.#connection = connection
    this.#credentials = credentials
    log('info', 'temporal_credentials_reloaded')
    await close(previous)
  }

  /** Closes the connection; the workers have ended by then. */
  async close(): Promise<void> {
    await close(this.#connection)
  }
}

/** Refused while a queue still holds it, as after a failed start; the process ends with it then. */
async function close(connection: NativeConnection): Promise<void> {
  await connection.close().catch((error: unknown) => log('warn', 'connection_not_closed', { detail: messageOf(error) }))
}

import type { ReceiverConfig } from '../../shared/config.ts'
import type { EscalatedStatus, Escalation } from '../../shared/wire.ts'
import type { Delivery } from './deliver.ts'

/** What a receiver is to be notified of. */
export interface Notification {
  /** The receiver's name. */
  receiver: string
  status: EscalatedStatus
  /** JSON of an {@link Escalation}. */
  document: string
  /** Whether the receiver has acknowledged it, and only its end is still to be sent. */
  isSent: boolean
  /** When the execution left the status, in milliseconds since the epoch; null while it is in it. */
  endedAt: number | null
}

/** Turns notifications into requests for receivers of one kind. */
export interface Notifier {
  /** The key of its block in `receiver "name" { … }`. */
  kind: keyof ReceiverConfig
  /**
   * The request that delivers a notification; null when there is nothing to send.
   *
   * @param now milliseconds since the epoch
   * @throws when a secret that it needs is missing or can't be used
   */
  deliveryOf(env: Env, config: ReceiverConfig, notification: Notification, now: number): Delivery | null
}

/** The escalation that a notification holds. */
export function escalationOf({ document }: Notification): Escalation {
  return JSON.parse(document) as Escalation
}

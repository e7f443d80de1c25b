import type { Permit } from '../../../shared/permit.ts'
import type { ExecutionError } from '../../../shared/wire.ts'
import type { Memo } from '../../permits/memo.ts'
import type { TemporalClient } from '../../temporal/client.ts'
import type { LedgerStore } from '../store/store.ts'

/** What a step needs besides its row. */
export interface OutboxContext {
  store: LedgerStore
  /** The client of the namespace that an execution was forwarded to. */
  temporal(namespace: string): TemporalClient
  /** Why nothing may be sent now: no permit key, clock skew, or no answer from Temporal; null when it may. */
  sendProblem(): Promise<ExecutionError | null>
  /** Signs a permit. @throws when there is no key to sign with */
  sign(permit: Permit): Promise<string>
  /** Signs the memo of an execution. @throws when there is no key to sign with */
  signMemo(memo: Memo): Promise<string>
  /** Temporal's id of a namespace as it was last received; null before that. */
  knownNamespaceId(namespace: string): string | null
  /** The same, requested now; null without an answer. */
  freshNamespaceId(namespace: string): Promise<string | null>
  /** Gives up a reservation that was cut off. */
  abandonReservation(id: string): void
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds between two checks of an open execution. */
  checkInterval(): number
}

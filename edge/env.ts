import type { GlobalLedger } from './global-ledger/global-ledger.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { ReceiverPort } from './notify/deliver.ts'
import type { Roster } from './roster/roster.ts'
import type { Signals } from './signals/signals.ts'
import type { TemporalPort } from './temporal/client.ts'

/** What the Worker is bound to. */
export interface Env {
  LEDGER: DurableObjectNamespace<Ledger>
  GLOBAL_LEDGER: DurableObjectNamespace<GlobalLedger>
  ROSTER: DurableObjectNamespace<Roster>
  SIGNALS: DurableObjectNamespace<Signals>
  /** The way to Temporal's HTTP API; without it, the configured URL is fetched directly (`wrangler dev`). */
  TEMPORAL?: TemporalPort
  /** The way to the receivers of escalations; without it, they are fetched directly (`wrangler dev`). */
  RECEIVERS?: ReceiverPort
  /** The names, without port, under which the network door may be called; without it, any. */
  HOSTS?: readonly string[]
  /** The keys that sign permits: a JSON Web Key Set of private Ed25519 keys as text, the first of which signs. */
  PERMIT_KEYS?: string
}

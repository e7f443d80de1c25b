/**
 * The bindings of the Worker. Those in wrangler.toml are generated into bindings.d.ts (`npm run bindings`); these are the
 * ones that only some deployments have.
 */
interface Env extends Cloudflare.Env {
  /** Temporal's HTTP API; without this binding the configured URL is fetched directly (`wrangler dev`). */
  TEMPORAL?: import('./temporal/client.ts').TemporalPort
  /** The receivers of escalations; without this binding they are fetched directly (`wrangler dev`). */
  RECEIVERS?: import('./notify/deliver.ts').ReceiverPort
  /** Host names, without port, that the network listener answers to; without this binding, any. */
  HOSTS?: readonly string[]
  /** The keys that sign permits: a JSON Web Key Set of private Ed25519 keys as text, the first of which signs. */
  PERMIT_KEYS?: string
}

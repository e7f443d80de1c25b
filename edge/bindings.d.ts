// Generated from wrangler.toml by `npm run bindings`.

declare namespace Cloudflare {
  interface Env {
    LEDGER: DurableObjectNamespace<import('./worker.ts').Ledger>
    GLOBAL_LEDGER: DurableObjectNamespace<import('./worker.ts').GlobalLedger>
    ROSTER: DurableObjectNamespace<import('./worker.ts').Roster>
    SIGNALS: DurableObjectNamespace<import('./worker.ts').Signals>
  }
}

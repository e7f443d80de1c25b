/** The coordinator as a Worker: its doors, its Durable Objects, and the cron that wakes them. */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { wakeLedgers } from './api/health.ts'
import { createApp } from './app.ts'
import { config } from './config.ts'
import type { Env } from './env.ts'

export { GlobalLedger } from './global-ledger/global-ledger.ts'
export { Ledger } from './ledger/ledger.ts'
export { Roster } from './roster/roster.ts'
export { Signals } from './signals/signals.ts'

const network = createApp(config, 'network')
const local = createApp(config, 'local')

/** The door for everyone. */
export default class Network extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Response | Promise<Response> {
    return network.fetch(request, this.env, this.ctx)
  }

  /** Sets the ledgers' alarms again, should one ever be lost. */
  override async scheduled(): Promise<void> {
    await wakeLedgers(this.env, config)
  }
}

/** The door of the unix socket in the coordinator's data directory. No network socket is ever bound to it. */
export class LocalOperator extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Response | Promise<Response> {
    return local.fetch(request, this.env, this.ctx)
  }
}

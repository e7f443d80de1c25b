/** The coordinator as a Worker: its listeners, its Durable Objects, and the cron that wakes them. */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { wakeLedgers } from './api/health.ts'
import { createApp } from './app.ts'
import { config } from './config.ts'
import { NOTIFIERS } from './integrations/index.ts'
import { LedgerObject } from './ledger/ledger.ts'
import { Ledgers } from './ledgers.ts'

export { GlobalLedger } from './global-ledger/global-ledger.ts'
export { Roster } from './roster/roster.ts'
export { Signals } from './signals/signals.ts'

const network = createApp(config, 'network')
const local = createApp(config, 'local')

/** The ledger of a datacenter; see {@link LedgerObject}. */
export class Ledger extends LedgerObject {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, NOTIFIERS)
  }
}

/** The network listener. */
export default class Network extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Response | Promise<Response> {
    return network.fetch(request, this.env, this.ctx)
  }

  /** Sets the ledgers' alarms again, should one ever be lost. */
  override async scheduled(): Promise<void> {
    await wakeLedgers(new Ledgers(this.env, config))
  }
}

/** The listener on the unix socket in the coordinator's data directory. No network socket is ever bound to it. */
export class LocalOperator extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Response | Promise<Response> {
    return local.fetch(request, this.env, this.ctx)
  }
}

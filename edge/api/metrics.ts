/** `GET /metrics`: the ledgers' own counters as Prometheus text. They live in the ledgers, so they survive restarts; what was shed doesn't. */
import Counter from '@prometheus-io/client/lib/counter.js'
import Gauge from '@prometheus-io/client/lib/gauge.js'
import Registry from '@prometheus-io/client/lib/registry.js'
import { SHED } from '../access/load-shedding.ts'
import type { AppContext } from '../context.ts'
import type { LedgerMetrics } from '../ledger/types.ts'
import { orUnavailable } from '../ledgers.ts'
import type { Route } from '../route.ts'

export const metricsRoutes: readonly Route[] = [
  { method: 'GET', path: '/metrics', handler: metrics, summary: 'Metrics as Prometheus text', answers: { 200: null } },
]

async function metrics(context: AppContext): Promise<Response> {
  const { config, ledgers } = context.var
  const registry = new Registry()
  const registers = [registry]
  const decisions = new Counter({
    name: 'resile_decisions_total',
    help: 'Decisions by outcome',
    labelNames: ['workflow', 'outcome', 'code'],
    registers,
  })
  const closed = new Counter({
    name: 'resile_executions_closed_total',
    help: 'Executions that ended, by status',
    labelNames: ['workflow', 'status'],
    registers,
  })
  const open = new Gauge({
    name: 'resile_executions_open',
    help: 'Executions that have not ended',
    labelNames: ['workflow'],
    registers,
  })
  const overdue = new Gauge({
    name: 'resile_executions_overdue',
    help: 'Open executions older than the period of their concurrency constraint',
    labelNames: ['workflow'],
    registers,
  })
  const pending = new Gauge({
    name: 'resile_outbox_pending',
    help: 'Admitted executions whose start is not confirmed',
    registers,
  })
  const unsettled = new Gauge({
    name: 'resile_settlements_pending',
    help: 'Usage reports that the ledgers that count over all datacenters have not acknowledged',
    registers,
  })
  const unadmitted = new Counter({
    name: 'resile_executions_unadmitted_total',
    help: 'Executions that were started past the coordinator',
    labelNames: ['workflow'],
    registers,
  })
  const tripped = new Gauge({
    name: 'resile_max_failure_tripped',
    help: 'Limits of failures that are reached and wait for a reset; a scope is WORKFLOW or WORKFLOW@NODE',
    labelNames: ['datacenter', 'scope'],
    registers,
  })
  const freezes = new Gauge({
    name: 'resile_freezes_active',
    help: 'Freezes that hold',
    labelNames: ['datacenter'],
    registers,
  })
  const escalations = new Counter({
    name: 'resile_escalations_total',
    help: 'Escalations that were acknowledged by their receiver, or given up',
    labelNames: ['receiver', 'outcome'],
    registers,
  })
  const untold = new Gauge({
    name: 'resile_escalations_pending',
    help: 'Escalations that no receiver has acknowledged yet',
    registers,
  })
  const live = new Gauge({
    name: 'resile_nodes_live',
    help: 'Nodes with a fresh heartbeat',
    labelNames: ['datacenter'],
    registers,
  })
  const shed = new Counter({
    name: 'resile_requests_shed_total',
    help: 'Requests that were refused because there were too many, since this process began',
    labelNames: ['reason'],
    registers,
  })
  for (const [reason, count] of Object.entries(SHED)) shed.inc({ reason }, count)
  // A workflow that never ran shows zero, so that a rule over it is never without data.
  for (const workflow of Object.keys(config.workflows)) {
    open.set({ workflow }, 0)
    overdue.set({ workflow }, 0)
  }
  for (const receiver of Object.keys(config.coordinator.receiver)) {
    for (const outcome of ['sent', 'given_up']) escalations.inc({ receiver, outcome }, 0)
  }
  const perDatacenter = await orUnavailable(() =>
    ledgers.every(async (datacenter) => {
      const [ledger, nodes] = await Promise.all([
        ledgers.of(datacenter).metrics() as Promise<LedgerMetrics>,
        ledgers.roster(datacenter).nodes(),
      ])
      return { datacenter, ledger, live: nodes.length }
    }),
  )
  for (const { datacenter, ledger, live: count } of perDatacenter) {
    for (const { workflow, outcome, code, count } of ledger.decisions) decisions.inc({ workflow, outcome, code }, count)
    for (const { workflow, status, count } of ledger.closed) closed.inc({ workflow, status }, count)
    for (const { workflow, count, overdue: late } of ledger.open) {
      open.inc({ workflow }, count)
      overdue.inc({ workflow }, late)
    }
    pending.inc(ledger.pending)
    unsettled.inc(ledger.unsettled)
    untold.inc(ledger.escalations.pending)
    for (const { receiver, outcome, count } of ledger.escalations.outcomes) {
      escalations.inc({ receiver, outcome }, count)
    }
    for (const { workflow, count } of ledger.unadmitted) unadmitted.inc({ workflow }, count)
    for (const scope of ledger.tripped) tripped.set({ datacenter, scope }, 1)
    freezes.set({ datacenter }, ledger.frozen)
    live.set({ datacenter }, count)
  }
  return new Response(await registry.metrics(), { headers: { 'content-type': registry.contentType } })
}

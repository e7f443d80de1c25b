/** `GET /metrics`: the ledgers' own counters as Prometheus text. They live in the ledgers, so they survive restarts; what was shed doesn't. */
import Counter from '@prometheus-io/client/lib/counter.js'
import Gauge from '@prometheus-io/client/lib/gauge.js'
import Registry from '@prometheus-io/client/lib/registry.js'
import { SHED } from '../access/load-shedding.ts'
import { rejections } from '../access/rejections.ts'
import type { AppContext } from '../context.ts'
import type { LedgerMetrics } from '../ledger/types.ts'
import { orUnavailable } from '../ledgers.ts'
import type { Route } from '../route.ts'
import { droppedSignals } from '../trigger/dropped.ts'
import { VERSION } from '../version.ts'
import { COORDINATOR_METRICS } from './metric-catalogue.ts'

/** The label of what the configuration does not name. */
const OTHER = 'other'

export const metricsRoutes: readonly Route[] = [
  { method: 'GET', path: '/metrics', handler: metrics, summary: 'Metrics as Prometheus text', answers: { 200: null } },
]

async function metrics(context: AppContext): Promise<Response> {
  const { config, ledgers } = context.var
  const registry = new Registry()
  const registers = [registry]
  new Gauge({ ...COORDINATOR_METRICS.build, registers }).set({ version: VERSION }, 1)
  new Gauge({ ...COORDINATOR_METRICS.config, registers }).set({ hash: config.hash }, 1)
  if (config.loaded_at !== undefined) {
    new Gauge({ ...COORDINATOR_METRICS.configLoaded, registers }).set({}, Date.parse(config.loaded_at) / 1000)
  }
  const decisions = new Counter({ ...COORDINATOR_METRICS.decisions, registers })
  const closed = new Counter({ ...COORDINATOR_METRICS.closed, registers })
  const open = new Gauge({ ...COORDINATOR_METRICS.open, registers })
  const overdue = new Gauge({ ...COORDINATOR_METRICS.overdue, registers })
  const stuck = new Gauge({ ...COORDINATOR_METRICS.stuck, registers })
  const pending = new Gauge({ ...COORDINATOR_METRICS.pending, registers })
  const unsettled = new Gauge({ ...COORDINATOR_METRICS.unsettled, registers })
  const unadmitted = new Counter({ ...COORDINATOR_METRICS.unadmitted, registers })
  const tripped = new Gauge({ ...COORDINATOR_METRICS.tripped, registers })
  const freezes = new Gauge({ ...COORDINATOR_METRICS.freezes, registers })
  const escalations = new Counter({ ...COORDINATOR_METRICS.escalations, registers })
  const untold = new Gauge({ ...COORDINATOR_METRICS.untold, registers })
  const live = new Gauge({ ...COORDINATOR_METRICS.live, registers })
  const shed = new Counter({ ...COORDINATOR_METRICS.shed, registers })
  for (const [reason, count] of Object.entries(SHED)) shed.inc({ reason }, count)
  const rejected = new Counter({ ...COORDINATOR_METRICS.rejected, registers })
  for (const [reason, count] of Object.entries(rejections.totals)) rejected.inc({ reason }, count)
  const dropped = new Counter({ ...COORDINATOR_METRICS.dropped, registers })
  for (const { source, reason, count } of droppedSignals()) dropped.inc({ source, reason }, count)
  // A workflow that never ran shows zero, so that a rule over it is never without data.
  for (const workflow of Object.keys(config.workflows)) {
    open.set({ workflow }, 0)
    overdue.set({ workflow }, 0)
    stuck.set({ workflow }, 0)
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
  // Anyone who can start executions in Temporal chooses their types: each would be a separate time series.
  const workflowLabel = (name: string) => ({ workflow: Object.hasOwn(config.workflows, name) ? name : OTHER })
  const receiverLabel = (name: string) => ({
    receiver: Object.hasOwn(config.coordinator.receiver, name) ? name : OTHER,
  })
  for (const { datacenter, ledger, live: count } of perDatacenter) {
    for (const { workflow, outcome, code, count } of ledger.decisions) {
      decisions.inc({ ...workflowLabel(workflow), outcome, code }, count)
    }
    for (const { workflow, status, count } of ledger.closed) closed.inc({ ...workflowLabel(workflow), status }, count)
    for (const { workflow, count, overdue: late, stuck: idle } of ledger.open) {
      open.inc(workflowLabel(workflow), count)
      overdue.inc(workflowLabel(workflow), late)
      stuck.inc(workflowLabel(workflow), idle)
    }
    pending.inc(ledger.pending)
    unsettled.inc(ledger.unsettled)
    untold.inc(ledger.escalations.pending)
    for (const { receiver, outcome, count } of ledger.escalations.outcomes) {
      escalations.inc({ ...receiverLabel(receiver), outcome }, count)
    }
    for (const { workflow, count } of ledger.unadmitted) unadmitted.inc(workflowLabel(workflow), count)
    for (const scope of ledger.tripped) tripped.set({ datacenter, scope }, 1)
    freezes.set({ datacenter }, ledger.frozen)
    live.set({ datacenter }, count)
  }
  return new Response(await registry.metrics(), { headers: { 'content-type': registry.contentType } })
}

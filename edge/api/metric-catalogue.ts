/** What the coordinator counts. It needs nothing of Workers, so that the documentation is generated from it. */
import type { MetricCatalogue } from '../../shared/metric.ts'

export const COORDINATOR_METRICS = {
  build: {
    name: 'resile_build_info',
    type: 'gauge',
    help: 'Always 1; the version of Resile',
    labelNames: ['version'],
  },
  config: {
    name: 'resile_config_info',
    type: 'gauge',
    help: 'Always 1; the hash of the configuration',
    labelNames: ['hash'],
  },
  configLoaded: {
    name: 'resile_config_loaded_timestamp_seconds',
    type: 'gauge',
    help: 'When a coordinator in a datacenter read its configuration',
    labelNames: [],
  },
  decisions: {
    name: 'resile_decisions_total',
    type: 'counter',
    help: 'Decisions by outcome',
    labelNames: ['workflow', 'outcome', 'code'],
  },
  closed: {
    name: 'resile_executions_closed_total',
    type: 'counter',
    help: 'Executions that ended, by status',
    labelNames: ['workflow', 'status'],
  },
  open: {
    name: 'resile_executions_open',
    type: 'gauge',
    help: 'Executions that have not ended',
    labelNames: ['workflow'],
  },
  overdue: {
    name: 'resile_executions_overdue',
    type: 'gauge',
    help: 'Open executions older than the period of their concurrency constraint',
    labelNames: ['workflow'],
  },
  stuck: {
    name: 'resile_executions_stuck',
    type: 'gauge',
    help: "Running executions that make no progress: their workflow's code fails, or no worker takes it",
    labelNames: ['workflow'],
  },
  pending: {
    name: 'resile_outbox_pending',
    type: 'gauge',
    help: 'Admitted executions whose start is not confirmed',
    labelNames: [],
  },
  unsettled: {
    name: 'resile_settlements_pending',
    type: 'gauge',
    help: 'Starts and ends that global ledgers have not acknowledged yet',
    labelNames: [],
  },
  unadmitted: {
    name: 'resile_executions_unadmitted_total',
    type: 'counter',
    help: 'Executions that were started without the coordinator; other: of no configured workflow',
    labelNames: ['workflow'],
  },
  tripped: {
    name: 'resile_max_failure_tripped',
    type: 'gauge',
    help: 'maxFailure limits that are reached and wait for a reset; a scope is WORKFLOW or WORKFLOW@NODE',
    labelNames: ['datacenter', 'scope'],
  },
  freezes: {
    name: 'resile_freezes_active',
    type: 'gauge',
    help: 'Active freezes',
    labelNames: ['datacenter'],
  },
  escalations: {
    name: 'resile_escalations_total',
    type: 'counter',
    help: 'Escalations that their receiver acknowledged (sent), or that were given up',
    labelNames: ['receiver', 'outcome'],
  },
  untold: {
    name: 'resile_escalations_pending',
    type: 'gauge',
    help: 'Escalations that their receiver has not acknowledged yet',
    labelNames: [],
  },
  live: {
    name: 'resile_nodes_live',
    type: 'gauge',
    help: 'Nodes with a fresh heartbeat',
    labelNames: ['datacenter'],
  },
  rejected: {
    name: 'resile_requests_rejected_total',
    type: 'counter',
    help: 'Attempts that were rejected (401, 403, bad signatures, permits that hosts refused), since this process began',
    labelNames: ['reason'],
  },
  shed: {
    name: 'resile_requests_shed_total',
    type: 'counter',
    help: 'Requests that were refused because there were too many, since this process began',
    labelNames: ['reason'],
  },
  dropped: {
    name: 'resile_signals_dropped_total',
    type: 'counter',
    help: 'Signals that were dropped, since this process began: too_many in one request, truncated by their sender, or request_refused (counted once)',
    labelNames: ['source', 'reason'],
  },
} as const satisfies MetricCatalogue

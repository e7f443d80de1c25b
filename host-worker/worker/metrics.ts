/** A worker's own metrics, as Prometheus text. */

import { Counter, Gauge, Registry } from '@prometheus-io/client'
import { CancelledFailure } from '@temporalio/common'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import type { MetricCatalogue } from '../../shared/metric.ts'
import { PERMIT_REFUSALS, type PermitRefusal } from '../../shared/permit.ts'
import { addProcessMetrics, addReading } from '../net/process-metrics.ts'
import type { Readiness } from './readiness.ts'

/** The worker's metrics beside those of its process. */
export const WORKER_METRICS = {
  permitsRefused: {
    name: 'resile_permit_refused_total',
    type: 'counter',
    help: 'Activities that were refused a change of the host for lack of a valid permit, by reason',
    labelNames: ['reason'],
  },
  activities: {
    name: 'resile_activities_total',
    type: 'counter',
    help: 'Activities that have ended, by outcome: completed, failed, canceled',
    labelNames: ['type', 'outcome'],
  },
  running: {
    name: 'resile_activities_running',
    type: 'gauge',
    help: 'Activities that run now',
    labelNames: ['type'],
  },
  info: {
    name: 'resile_worker_info',
    type: 'gauge',
    help: 'Always 1; the labels identify the worker',
    labelNames: ['node', 'build'],
  },
  temporalReachable: {
    name: 'resile_temporal_reachable',
    type: 'gauge',
    help: 'Whether Temporal answers',
    labelNames: [],
  },
  coordinatorReachable: {
    name: 'resile_coordinator_reachable',
    type: 'gauge',
    help: 'Whether the coordinator accepted the last heartbeat',
    labelNames: [],
  },
  heartbeatAge: {
    name: 'resile_heartbeat_age_seconds',
    type: 'gauge',
    help: 'Time since the coordinator accepted a heartbeat; NaN before the first',
    labelNames: [],
  },
} as const satisfies MetricCatalogue

/** Who counts. */
export interface WorkerIdentity {
  node: string
  /** Of the workflow bundle. */
  build: string
}

/** The counters of a worker. */
export class WorkerMetrics {
  readonly #registry = new Registry()
  readonly #permitsRefused = this.#counter('permitsRefused')
  readonly #activities = this.#counter('activities')
  readonly #running = this.#gauge('running')
  readonly #onActivity: (change: 1 | -1) => void
  #lastBeat: number | null = null

  /** @param onActivity called when an activity begins (1) or ends (-1) */
  constructor(identity: WorkerIdentity, readiness: Readiness, onActivity: (change: 1 | -1) => void) {
    this.#onActivity = onActivity
    // Zero from the start, so that a rule over it is never without data.
    for (const reason of PERMIT_REFUSALS) this.#permitsRefused.inc({ reason }, 0)
    this.#gauge('info').set({ ...identity }, 1)
    this.#reading('temporalReachable', () => (readiness.holds('temporal') ? 1 : 0))
    this.#reading('coordinatorReachable', () => (readiness.holds('coordinator') ? 1 : 0))
    this.#reading('heartbeatAge', () =>
      this.#lastBeat === null ? Number.NaN : (performance.now() - this.#lastBeat) / 1000,
    )
    addProcessMetrics(this.#registry)
  }

  permitRefused(reason: PermitRefusal): void {
    this.#permitsRefused.inc({ reason })
  }

  /** A heartbeat was taken. */
  beat(): void {
    this.#lastBeat = performance.now()
  }

  /** Counts activities as they run. */
  readonly countActivities: ActivityInterceptorsFactory = ({ info: { activityType: type } }) => ({
    inbound: {
      execute: async (input, next) => {
        this.#running.inc({ type })
        this.#onActivity(1)
        try {
          const result: unknown = await next(input)
          this.#activities.inc({ type, outcome: 'completed' })
          return result
        } catch (error) {
          this.#activities.inc({ type, outcome: error instanceof CancelledFailure ? 'canceled' : 'failed' })
          throw error
        } finally {
          this.#running.dec({ type })
          this.#onActivity(-1)
        }
      },
    },
  })

  /** As Prometheus text. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #counter<Name extends keyof typeof WORKER_METRICS>(name: Name): Counter<LabelOf<Name>> {
    return new Counter({ ...WORKER_METRICS[name], registers: [this.#registry] })
  }

  #gauge<Name extends keyof typeof WORKER_METRICS>(name: Name): Gauge<LabelOf<Name>> {
    return new Gauge({ ...WORKER_METRICS[name], registers: [this.#registry] })
  }

  #reading(metric: keyof typeof WORKER_METRICS, value: () => number): void {
    const { name, help } = WORKER_METRICS[metric]
    addReading(this.#registry, name, help, value)
  }
}

type LabelOf<Name extends keyof typeof WORKER_METRICS> = (typeof WORKER_METRICS)[Name]['labelNames'][number]

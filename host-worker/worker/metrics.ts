/** A worker's own metrics, as Prometheus text. */

import { Counter, Gauge, Registry } from '@prometheus-io/client'
import { CancelledFailure } from '@temporalio/common'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { PERMIT_REFUSALS, type PermitRefusal } from '../../shared/permit.ts'
import { addProcessMetrics, addReading } from '../net/process-metrics.ts'
import type { Condition, Readiness } from './readiness.ts'

/** Who counts. */
export interface WorkerIdentity {
  node: string
  /** Of the workflow bundle. */
  build: string
}

/** The counters of a worker. */
export class WorkerMetrics {
  readonly #registry = new Registry()
  readonly #permitsRefused = this.#counter(
    'resile_permit_refused_total',
    'Activities that were refused to change the host without a valid permit, by reason',
    ['reason'],
  )
  readonly #activities = this.#counter('resile_activities_total', 'Activities that have ended, by how', [
    'type',
    'outcome',
  ])
  readonly #running = this.#gauge('resile_activities_running', 'Activities that run now', ['type'])
  #lastBeat: number | null = null

  constructor(identity: WorkerIdentity, readiness: Readiness) {
    // Zero from the start, so that a rule over it is never without data.
    for (const reason of PERMIT_REFUSALS) this.#permitsRefused.inc({ reason }, 0)
    this.#gauge('resile_worker_info', 'Always 1; says who this is', ['node', 'build']).set({ ...identity }, 1)
    this.#condition('resile_temporal_reachable', 'Whether Temporal answers', readiness, 'temporal')
    this.#condition('resile_coordinator_reachable', 'Whether the last heartbeat was taken', readiness, 'coordinator')
    addReading(
      this.#registry,
      'resile_heartbeat_age_seconds',
      'Since the last heartbeat that was taken; none before the first',
      () => (this.#lastBeat === null ? Number.NaN : (performance.now() - this.#lastBeat) / 1000),
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
        try {
          const result: unknown = await next(input)
          this.#activities.inc({ type, outcome: 'completed' })
          return result
        } catch (error) {
          this.#activities.inc({ type, outcome: error instanceof CancelledFailure ? 'canceled' : 'failed' })
          throw error
        } finally {
          this.#running.dec({ type })
        }
      },
    },
  })

  /** As Prometheus text. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: Label[]): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] })
  }

  #condition(name: string, help: string, readiness: Readiness, condition: Condition): void {
    addReading(this.#registry, name, help, () => (readiness.holds(condition) ? 1 : 0))
  }
}

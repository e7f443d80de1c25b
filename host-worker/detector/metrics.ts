/** The detector daemon's own metrics, as Prometheus text. */
import { Counter, Gauge, Registry } from '@prometheus-io/client'
import type { MetricCatalogue } from '../../shared/metric.ts'
import { addProcessMetrics } from '../net/process-metrics.ts'
import type { TriggerAnswer } from './episodes.ts'

/** The daemon's metrics beside those of its process. */
export const DETECTOR_METRICS = {
  evaluations: {
    name: 'resile_detector_evaluations_total',
    type: 'counter',
    help: 'Evaluations of the source; result is ok, or unknown when it could not be evaluated',
    labelNames: ['detector', 'result'],
  },
  seconds: {
    name: 'resile_detector_evaluation_seconds_total',
    type: 'counter',
    help: 'Time spent on evaluations',
    labelNames: ['detector'],
  },
  firing: {
    name: 'resile_detector_firing',
    type: 'gauge',
    help: 'Conditions that hold, or that ceased less than clear_for ago',
    labelNames: ['detector'],
  },
  triggers: {
    name: 'resile_detector_triggers_total',
    type: 'counter',
    help: 'Attempts to trigger, by answer: admitted, later (denied or unreachable, sent again), refused (a mistake)',
    labelNames: ['detector', 'answer'],
  },
  held: {
    name: 'resile_detector_triggers_held',
    type: 'gauge',
    help: 'Conditions that the limit of their detector keeps from triggering',
    labelNames: ['detector'],
  },
  notices: {
    name: 'resile_detector_notices_total',
    type: 'counter',
    help: 'Log events about the source, such as log_truncated',
    labelNames: ['detector', 'event'],
  },
  lastSuccess: {
    name: 'resile_detector_last_success_timestamp_seconds',
    type: 'gauge',
    help: 'When the source was last evaluated, in seconds since the epoch',
    labelNames: ['detector'],
  },
} as const satisfies MetricCatalogue

/** What the daemon counts, by detector. */
export class DetectorMetrics {
  readonly #registry = new Registry()
  readonly #polls = this.#counter('evaluations')
  readonly #seconds = this.#counter('seconds')
  readonly #firing = this.#gauge('firing')
  readonly #triggers = this.#counter('triggers')
  readonly #held = this.#gauge('held')
  readonly #notices = this.#counter('notices')
  readonly #last = this.#gauge('lastSuccess')

  constructor(detectors: readonly string[]) {
    // Zero from the start, so that a rule over it is never without data.
    for (const detector of detectors) for (const result of ['ok', 'unknown']) this.#polls.inc({ detector, result }, 0)
    addProcessMetrics(this.#registry)
  }

  polled(detector: string, result: 'ok' | 'unknown', seconds: number): void {
    this.#polls.inc({ detector, result })
    this.#seconds.inc({ detector }, seconds)
    if (result === 'ok') this.#last.set({ detector }, Date.now() / 1000)
  }

  firing(detector: string, count: number): void {
    this.#firing.set({ detector }, count)
  }

  triggered(detector: string, answer: TriggerAnswer['kind']): void {
    this.#triggers.inc({ detector, answer })
  }

  held(detector: string, count: number): void {
    this.#held.set({ detector }, count)
  }

  noticed(detector: string, event: string): void {
    this.#notices.inc({ detector, event })
  }

  /** As Prometheus text. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #counter<Name extends keyof typeof DETECTOR_METRICS>(
    name: Name,
  ): Counter<(typeof DETECTOR_METRICS)[Name]['labelNames'][number]> {
    return new Counter({ ...DETECTOR_METRICS[name], registers: [this.#registry] })
  }

  #gauge(name: keyof typeof DETECTOR_METRICS): Gauge<'detector'> {
    return new Gauge({ ...DETECTOR_METRICS[name], registers: [this.#registry] })
  }
}

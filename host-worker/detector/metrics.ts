/** The detector daemon's own metrics, as Prometheus text. */
import { Counter, Gauge, Registry } from '@prometheus-io/client'
import { addProcessMetrics } from '../net/process-metrics.ts'
import type { TriggerAnswer } from './episodes.ts'

/** The counters of the daemon, by detector. */
export class DetectorMetrics {
  readonly #registry = new Registry()
  readonly #polls = this.#counter('resile_detector_evaluations_total', 'Polls of the source, by result', [
    'detector',
    'result',
  ])
  readonly #seconds = this.#counter('resile_detector_evaluation_seconds_total', 'Time that the polls took', [
    'detector',
  ])
  readonly #firing = this.#gauge(
    'resile_detector_firing',
    'Conditions that hold, or have not been gone for long enough',
  )
  readonly #triggers = this.#counter(
    'resile_detector_triggers_total',
    'Attempts to trigger, by answer: admitted, later (denied or unreachable, tried again), refused (a mistake)',
    ['detector', 'answer'],
  )
  readonly #held = this.#gauge(
    'resile_detector_triggers_held',
    'Conditions that the limit of their detector keeps from triggering',
  )
  readonly #notices = this.#counter(
    'resile_detector_notices_total',
    'What was noticed on the way, such as log_truncated',
    ['detector', 'event'],
  )
  readonly #last = this.#gauge(
    'resile_detector_last_success_timestamp_seconds',
    'When the source was seen last, since the epoch',
  )

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

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  #gauge(name: string, help: string): Gauge<'detector'> {
    return new Gauge({ name, help, labelNames: ['detector'], registers: [this.#registry] })
  }
}

/** The detectors of which the coordinator is told, and what they want of a signal. */
import type { Config, DetectorConfig } from '../../shared/config.ts'
import { InterpolationError, interpolate, type SignalFacts } from '../../shared/interpolate.ts'
import { type ProblemCode, ProblemError } from '../http/problem.ts'
import type { Wanted } from './batch.ts'

/** A detector under its name, with its source. */
export interface Detector<Source> {
  name: string
  detector: DetectorConfig
  source: Source
}

/** The detectors with one kind of source. */
export function detectorsWith<Kind extends 'alert' | 'pagerduty' | 'cloudevent'>(
  config: Config,
  kind: Kind,
): Detector<NonNullable<DetectorConfig[Kind]>>[] {
  return Object.entries(config.detectors).flatMap(([name, detector]) => {
    const source = detector[kind]
    return source === undefined ? [] : [{ name, detector, source }]
  })
}

/**
 * What a detector wants of a signal that it is meant for.
 *
 * @param what the rest, which is the same for all detectors of the signal
 */
export function wantedBy(
  { name, detector }: Pick<Detector<unknown>, 'name' | 'detector'>,
  facts: SignalFacts,
  what: { source: string; fingerprint: string; reason: string; occasion: readonly string[] },
): Wanted {
  return {
    detector: name,
    workflow: detector.workflow,
    order: () => ({
      target: filled(detector.target ?? {}, facts, 'invalid_target'),
      input: filled(detector.input ?? {}, facts, 'invalid_input'),
    }),
    reason: what.reason,
    trigger: { source: what.source, name, fingerprint: what.fingerprint },
    occasion: [...what.occasion, name],
  }
}

function filled<Value>(value: Value, facts: SignalFacts, code: ProblemCode): Value {
  try {
    return interpolate(value, facts)
  } catch (error) {
    if (error instanceof InterpolationError) throw new ProblemError(code, error.message)
    throw error
  }
}

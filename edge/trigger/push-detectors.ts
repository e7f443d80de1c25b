/** Detectors whose signals are pushed to the coordinator, and the starts that they request. */

import type { PushedSourceKind } from '../../shared/config/detectors.ts'
import type { Config, DetectorConfig } from '../../shared/config.ts'
import { InterpolationError, interpolate, type SignalFacts } from '../../shared/interpolate.ts'
import { type ProblemCode, ProblemError } from '../http/problem.ts'
import type { RequestedStart } from './batch.ts'

/** A detector under its name, with its source. */
export interface Detector<Source> {
  name: string
  detector: DetectorConfig
  source: Source
}

/** The detectors with one kind of source. */
export function detectorsWith<Kind extends PushedSourceKind>(
  config: Config,
  kind: Kind,
): Detector<NonNullable<DetectorConfig[Kind]>>[] {
  return Object.entries(config.detectors).flatMap(([name, detector]) => {
    const source = detector[kind]
    return source === undefined ? [] : [{ name, detector, source }]
  })
}

/**
 * The start that a detector requests for a signal that it matches.
 *
 * @param common what is the same for all detectors of the signal
 */
export function requestedBy(
  { name, detector }: Pick<Detector<unknown>, 'name' | 'detector'>,
  facts: SignalFacts,
  common: { source: string; fingerprint: string; reason: string; deduplicationKey: readonly string[] },
): RequestedStart {
  return {
    detector: name,
    workflow: detector.workflow,
    parameters: () => ({
      target: interpolated(detector.target ?? {}, facts, 'invalid_target'),
      input: interpolated(detector.input ?? {}, facts, 'invalid_input'),
    }),
    reason: common.reason,
    trigger: { source: common.source, name, fingerprint: common.fingerprint },
    deduplicationKey: [...common.deduplicationKey, name],
  }
}

function interpolated<Value>(value: Value, facts: SignalFacts, code: ProblemCode): Value {
  try {
    return interpolate(value, facts)
  } catch (error) {
    if (error instanceof InterpolationError) throw new ProblemError(code, error.message)
    throw error
  }
}

import { ApplicationFailure } from '@temporalio/workflow'
import { parseDuration } from '../../shared/duration.ts'

/**
 * Milliseconds of a duration such as `"1m30s"`.
 *
 * @throws ApplicationFailure `InvalidInput` when the text is none
 */
export function milliseconds(duration: string): number {
  const ms = parseDuration(duration)
  if (ms === null) throw ApplicationFailure.nonRetryable(`not a duration: ${JSON.stringify(duration)}`, 'InvalidInput')
  return ms
}

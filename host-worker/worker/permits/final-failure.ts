import { ApplicationFailure } from '@temporalio/common'

/** Whether an error is a failure that no retry mends. */
export function isFinal(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.nonRetryable === true
}

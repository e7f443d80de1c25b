/** Undoing what can be undone when a remediation fails on its way. */
import { ActivityFailure, ApplicationFailure, CancellationScope, isCancellation, log } from '@temporalio/workflow'

/** One step back that was made, or could not be. */
export interface Undone {
  step: string
  /** Null when it worked. */
  error: string | null
}

/** How to go back. */
export interface Undo {
  /** Takes note of how to undo a step that is about to be made; the last one is undone first. */
  note(step: string, undo: () => Promise<unknown>): void
  /** From here on there is no way back: nothing that was noted so far will be undone. */
  forget(): void
}

/**
 * Runs a remediation; when it fails or is cancelled, what it has noted is undone, also when the workflow is cancelled
 * meanwhile. The failure keeps its type and message and says in `details[0].undone` what was undone.
 *
 * @throws what `run` throws, as an ApplicationFailure that is not retried; a cancellation as it is
 */
export async function undoingOnFailure<Result>(run: (undo: Undo) => Promise<Result>): Promise<Result> {
  const steps: { step: string; undo: () => Promise<unknown> }[] = []
  try {
    return await run({
      note: (step, undo) => void steps.push({ step, undo }),
      forget: () => void steps.splice(0),
    })
  } catch (error) {
    const undone = await CancellationScope.nonCancellable(() => undoAll(steps.reverse()))
    if (isCancellation(error)) throw error
    throw withEvidence(error, undone.length === 0 ? {} : { undone })
  }
}

/**
 * A failure with more evidence in `details[0]`, to be thrown: that of an activity becomes the workflow's own.
 *
 * @param facts added to what the failure has
 */
export function withEvidence(error: unknown, facts: Record<string, unknown>): ApplicationFailure {
  const failure = error instanceof ActivityFailure && error.cause instanceof Error ? error.cause : error
  const message = failure instanceof Error ? failure.message : String(failure)
  const isOwn = failure instanceof ApplicationFailure
  const [first, ...rest] = isOwn ? (failure.details ?? []) : []
  const known = typeof first === 'object' && first !== null ? first : first === undefined ? {} : { detail: first }
  return ApplicationFailure.create({
    type: (isOwn ? failure.type : failure instanceof Error ? failure.name : null) ?? 'Error',
    message,
    nonRetryable: true,
    details: [{ ...known, ...facts }, ...rest],
    ...(failure instanceof Error ? { cause: failure } : {}),
  })
}

async function undoAll(steps: readonly { step: string; undo: () => Promise<unknown> }[]): Promise<Undone[]> {
  const undone: Undone[] = []
  for (const { step, undo } of steps) {
    try {
      await undo()
      undone.push({ step, error: null })
    } catch (error) {
      const { message } = withEvidence(error, {})
      log.warn('not undone', { step, message })
      undone.push({ step, error: message })
    }
  }
  return undone
}

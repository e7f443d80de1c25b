/** The response to signals; each may request several starts. */
import type { TriggerItem, TriggerItems } from '../../../shared/wire.ts'
import type { AppContext } from '../../context.ts'
import { ProblemError } from '../../http/problem.ts'

/**
 * Responds to signals.
 *
 * @throws ProblemError `try_again` when an item may be admitted later: senders retry on 5xx only
 */
export function respondWithItems(context: AppContext, answer: TriggerItems): Response {
  const again = answer.items.filter(({ retry }) => retry)
  if (again.length === 0) return context.json(answer)
  throw new ProblemError('try_again', describe(again, answer.items.length), { items: answer })
}

function describe(again: readonly TriggerItem[], all: number): string {
  const codes = [...new Set(again.map(({ code }) => code))].join(', ')
  return `${again.length} of ${all} can't be started now (${codes}); what was started is not started again`
}

/** The answer to signals, of which each may want several things. */
import type { Config } from '../../shared/config.ts'
import type { TriggerItem, TriggerItems } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { traceparent } from '../http/headers.ts'
import { ProblemError } from '../http/problem.ts'
import type { FiringContext } from '../trigger/batch.ts'

/** What starting things by a request needs to know of it. */
export function firingContext({ env, var: state, req }: AppContext, config: Config): FiringContext {
  const { caller, requestId } = state
  return { env, config, caller, requestId, traceparent: traceparent(req.raw.headers) }
}

/**
 * Answers signals.
 *
 * @throws ProblemError `try_again` when one of the items may pass later: senders come again on 5xx alone
 */
export function answerItems(context: AppContext, answer: TriggerItems): Response {
  const again = answer.items.filter(({ retry }) => retry)
  if (again.length === 0) return context.json(answer)
  throw new ProblemError('try_again', describe(again, answer.items.length), { items: answer })
}

function describe(again: readonly TriggerItem[], all: number): string {
  const codes = [...new Set(again.map(({ code }) => code))].join(', ')
  return `${again.length} of ${all} can't be started now (${codes}); what was started is not started again`
}

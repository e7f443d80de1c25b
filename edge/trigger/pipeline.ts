/** The steps of a trigger, whatever listener received it: resolve → admit → forward → answer. */
import { v7 as uuidv7 } from 'uuid'
import type { Config } from '../../shared/config.ts'
import { hashJson } from '../http/body.ts'
import { ProblemError } from '../http/problem.ts'
import type { Admitted, SubmissionResult, Undecided } from '../ledger/types.ts'
import { type Ledgers, orUnavailable } from '../ledgers.ts'
import type { TriggerRequest } from './request.ts'
import { resolveTrigger } from './resolve.ts'

/**
 * Admits and starts a workflow.
 *
 * @throws ProblemError when its target or input is not valid, or it is not admitted
 */
export async function start(ledgers: Ledgers, config: Config, request: TriggerRequest): Promise<Admitted> {
  const { idempotency, wait } = request
  const trigger = await resolveTrigger(ledgers, config, request)
  const known = idempotency === null ? null : { key: idempotency.key, bodyHash: await hashJson(idempotency.content) }
  const id = uuidv7()
  const result = await orUnavailable(
    async (): Promise<SubmissionResult> =>
      ledgers.of(trigger.datacenter).submit({ id, trigger, idempotency: known, wait }),
    { id },
  )
  return admittedOrRefuse(result)
}

/** Returns what a ledger has admitted. @throws ProblemError when it has not */
export function admittedOrRefuse(result: SubmissionResult): Admitted {
  switch (result.kind) {
    case 'conflict':
      throw new ProblemError('idempotency_conflict', 'this Idempotency-Key was used with another body')
    case 'undecided':
      throw undecided(result)
    case 'denied':
      throw denial(result)
    case 'admitted':
      if (result.execution.error?.type === 'StartRefused') {
        throw new ProblemError('internal', result.execution.error.message, { decision: result.decision })
      }
      return result
    case 'replayed':
      return result
  }
}

/** The problem that says why nothing was decided. */
export function undecided({ code, detail, decision }: Undecided): ProblemError {
  return new ProblemError(code, detail, decision === null ? {} : { decision })
}

function denial({ decision, detail }: SubmissionResult & { kind: 'denied' }): ProblemError {
  if (decision.code === 'no_worker' || decision.code === 'workflow_not_registered') {
    return new ProblemError(decision.code, detail, { decision })
  }
  const wait = decision.allowed_at === null ? null : Math.ceil((Date.parse(decision.allowed_at) - Date.now()) / 1000)
  return new ProblemError(decision.code === 'frozen' ? 'frozen' : 'constraint_denied', detail, {
    decision,
    headers: wait === null ? {} : { 'retry-after': String(Math.max(wait, 0)) },
  })
}

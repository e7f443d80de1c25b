/** A trigger's way, by whatever door it came: validate input → route → admit → forward → record. */
import { v7 as uuidv7 } from 'uuid'
import type { Caller } from '../../shared/callers.ts'
import { type Config, datacentersOf } from '../../shared/config.ts'
import type { Decision, Execution, StartBody } from '../../shared/wire.ts'
import type { Env } from '../env.ts'
import { hashJson } from '../http/body.ts'
import { checkAt, ProblemError } from '../http/problem.ts'
import type { SubmissionResult, Undecided } from '../ledger/types.ts'
import { anyDatacenter, ledgerOf, orUnavailable } from '../ledgers.ts'
import { validateInput } from './input.ts'
import { buildTrigger } from './resolve.ts'
import { routeTarget } from './target.ts'
import type { Workflow } from './workflow.ts'

/** What a caller wants to be started. The caller was authorised for it. */
export interface Start {
  workflow: Workflow
  caller: Caller
  /** The checked body, but for its input. */
  body: Omit<StartBody, 'input'>
  /** As it came. */
  input: Record<string, unknown>
  /** JSON Pointer of where the body stands in the request's. */
  place: string
  /** What a resend is known by, and the JSON that must then be the same; null when it is not to be known. */
  idempotency: { key: string; content: unknown } | null
  /** How long to wait for Temporal's confirmation, in milliseconds. */
  wait: number
  /** W3C Trace Context of the request, null when it has none. */
  traceparent: string | null
}

/** A trigger that was admitted, or that waits for approval or was only recorded, as its decision says. */
export interface Admitted {
  decision: Decision
  execution: Execution
  /** Whether it was so already, when the trigger came before. */
  isReplayed: boolean
}

/**
 * Admits and starts a workflow.
 *
 * @throws ProblemError when its target or input don't fit, or it is not admitted
 */
export async function start(
  env: Env,
  config: Config,
  { workflow, caller, body, input, place, idempotency, wait, traceparent }: Start,
): Promise<Admitted> {
  const routed = checkAt(place, () => routeTarget(config, workflow, body.target))
  const validated = checkAt(place, () => validateInput(workflow.input, input))
  const bound = idempotency === null ? null : await boundDatacenter(env, config, workflow.name, caller, idempotency.key)
  const told = { caller, reason: body.reason ?? null, trigger: body.trigger ?? null }
  const { trigger, workflowQueue } = await buildTrigger(env, config, workflow, routed, told, bound)
  const known = idempotency === null ? null : { key: idempotency.key, bodyHash: await hashJson(idempotency.content) }
  const id = uuidv7()
  const result = await orUnavailable(
    async (): Promise<SubmissionResult> =>
      ledgerOf(env, trigger.datacenter).submit({
        id,
        trigger,
        order: {
          namespace: config.coordinator.temporal.namespace,
          workflowType: workflow.type,
          workflowQueue,
          input: validated,
          timeout: workflow.timeout,
          traceparent,
          receiver: workflow.escalation?.receiver ?? null,
        },
        validFor: Math.min(body.valid_for ?? workflow.valid_for, workflow.valid_for),
        idempotency: known,
        wait,
      }),
    { id },
  )
  return admittedOrRefuse(result)
}

/** What a ledger has admitted. @throws ProblemError when it has not */
export function admittedOrRefuse(result: SubmissionResult): Admitted {
  switch (result.kind) {
    case 'conflict':
      throw new ProblemError('idempotency_conflict', 'this Idempotency-Key was used with another body')
    case 'undecided':
      throw undecided(result)
    case 'denied':
      throw denial(result)
    case 'replayed':
    case 'admitted': {
      const { decision, execution } = result
      if (result.kind === 'admitted' && execution.error?.type === 'StartRefused') {
        throw new ProblemError('internal', execution.error.message, { decision })
      }
      return { decision, execution, isReplayed: result.kind === 'replayed' }
    }
  }
}

/** Says why nothing was decided. */
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

/** The datacenter whose ledger knows an idempotency key: a resend goes there, even if its node has moved or died since. */
async function boundDatacenter(
  env: Env,
  config: Config,
  workflow: string,
  caller: Caller,
  key: string,
): Promise<string | null> {
  if (datacentersOf(config.coordinator).length === 1) return null
  const bound = await orUnavailable(() =>
    anyDatacenter(config, async (datacenter) => {
      const known = await ledgerOf(env, datacenter).hasKey(workflow, caller, key)
      return known ? datacenter : null
    }),
  )
  return bound?.datacenter ?? null
}

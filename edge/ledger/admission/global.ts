/** Requests of a datacenter's ledger to the GlobalLedger of a workflow. */
import pTimeout from 'p-timeout'
import { messageOf } from '../../../shared/log.ts'
import type { PendingUsageReport } from '../store/usage-reports.ts'
import type { GlobalAnswer, GlobalQuestion, ReserveAnswer, Trigger } from '../types.ts'

/** How long a GlobalLedger may take to answer. */
const ANSWER_TIMEOUT_MS = 4000

/** The judgements of a trigger's GlobalLedger on the constraints that it counts; null when there are none. */
export async function askGlobal(env: Env, trigger: Trigger, at: number): Promise<GlobalAnswer | null> {
  const question = questionOf(trigger, at)
  if (question.constraints.length === 0) return null
  try {
    return await answered<GlobalAnswer>(env.GLOBAL_LEDGER.getByName(trigger.workflow).judge(question))
  } catch (error) {
    return { kind: 'unavailable', detail: messageOf(error) }
  }
}

/** Reserves for an execution; without an answer it may be reserved or not. */
export async function reserve(
  env: Env,
  datacenter: string,
  { id, attempt }: { id: string; attempt: number },
  trigger: Trigger,
): Promise<ReserveAnswer> {
  try {
    const ledger = env.GLOBAL_LEDGER.getByName(trigger.workflow)
    return await answered<ReserveAnswer>(ledger.reserve({ id, datacenter, attempt }, questionOf(trigger, Date.now())))
  } catch (error) {
    return { kind: 'unavailable', detail: messageOf(error) }
  }
}

/** Reports the state of an execution to its GlobalLedger. @throws without an acknowledgement */
export async function reportUsage(env: Env, datacenter: string, report: PendingUsageReport): Promise<void> {
  const { execution, workflow, startedAt, closedAt, attempt, sequence } = report
  const ledger = env.GLOBAL_LEDGER.getByName(workflow)
  await answered(ledger.report(execution, datacenter, { startedAt, closedAt, attempt, sequence }))
}

function questionOf({ workflow, constraints, datacenters }: Trigger, at: number): GlobalQuestion {
  const central = constraints.filter(({ isCentral }) => isCentral)
  return { workflow, constraints: central, datacenters, at, clock: Date.now() }
}

function answered<Answer>(call: Promise<unknown>): Promise<Answer> {
  // An RPC promise is a proxy, on which p-timeout's own call of `cancel` would be another RPC.
  const answer = Promise.resolve(call) as Promise<Answer>
  const message = `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`
  return pTimeout(answer, { milliseconds: ANSWER_TIMEOUT_MS, message: new Error(message) })
}

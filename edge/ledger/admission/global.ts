/** A datacenter's ledger speaks to the GlobalLedger of a workflow. */
import { messageOf } from '../../../shared/log.ts'
import type { Env } from '../../env.ts'
import { globalLedgerOf } from '../../ledgers.ts'
import { within } from '../../patience.ts'
import type { PendingSettlement } from '../store/settlements.ts'
import type { GlobalAnswer, GlobalQuestion, ReserveAnswer, Trigger } from '../types.ts'
import { isCentral } from './admit.ts'

/** How long a GlobalLedger may take to answer, in milliseconds. */
const ANSWER_TIMEOUT = 4000

/** What a trigger's GlobalLedger says of the constraints that it counts; null when it has none. */
export async function askGlobal(env: Env, trigger: Trigger, at: number): Promise<GlobalAnswer | null> {
  const question = questionOf(trigger, at)
  if (question.constraints.length === 0) return null
  try {
    return await answered<GlobalAnswer>(globalLedgerOf(env, trigger.workflow).judge(question))
  } catch (error) {
    return { kind: 'unavailable', detail: messageOf(error) }
  }
}

/** Reserves a place for an execution; without an answer it may be reserved or not. */
export async function reserve(
  env: Env,
  datacenter: string,
  { id, attempt }: { id: string; attempt: number },
  trigger: Trigger,
): Promise<ReserveAnswer> {
  try {
    const ledger = globalLedgerOf(env, trigger.workflow)
    return await answered<ReserveAnswer>(ledger.reserve({ id, datacenter, attempt }, questionOf(trigger, Date.now())))
  } catch (error) {
    return { kind: 'unavailable', detail: messageOf(error) }
  }
}

/** Tells an execution's GlobalLedger how it stands. @throws without an acknowledgement */
export async function settle(env: Env, datacenter: string, settlement: PendingSettlement): Promise<void> {
  const { execution, workflow, startedAt, closedAt, attempt, sequence } = settlement
  const ledger = globalLedgerOf(env, workflow)
  await answered(ledger.settle(execution, datacenter, { startedAt, closedAt, attempt, sequence }))
}

function questionOf({ workflow, constraints, datacenters }: Trigger, at: number): GlobalQuestion {
  const central = constraints.filter((constraint) => isCentral(constraint, datacenters))
  return { workflow, constraints: central, datacenters, at, clock: Date.now() }
}

function answered<Answer>(call: Promise<unknown>): Promise<Answer> {
  return within(ANSWER_TIMEOUT, call as Promise<Answer>, () => {
    throw new Error(`no answer within ${ANSWER_TIMEOUT / 1000} s`)
  })
}

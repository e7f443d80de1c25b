/** Decisions and their receipts, and what denials say in words. */
import type { Constraint } from '../../../shared/config.ts'
import { decide, joinReceipts, type Verdict } from '../../../shared/constraints.ts'
import type { Decision, Freeze } from '../../../shared/wire.ts'
import { scopeName } from '../store/scopes.ts'
import type { LedgerStore } from '../store/store.ts'
import type { ReserveAnswer, Trigger } from '../types.ts'

/** A decision on a trigger. @param code of a denial; null when it is not denied */
export function newDecision(trigger: Trigger, at: number, code: string | null, verdict: Verdict): Decision {
  return {
    id: null,
    at: new Date(at).toISOString(),
    workflow: trigger.workflow,
    datacenter: trigger.datacenter,
    outcome: code !== null ? 'denied' : OUTCOMES[trigger.mode],
    code,
    caller: trigger.caller,
    trigger: trigger.trigger,
    target: trigger.target,
    task_queue: trigger.taskQueue,
    reason: trigger.reason,
    allowed_at: verdict.allowedAt === null ? null : new Date(verdict.allowedAt).toISOString(),
    freeze: null,
    constraints: verdict.receipts,
    ...(trigger.config === undefined ? {} : { config: trigger.config }),
  }
}

const OUTCOMES = { auto: 'admitted', approve: 'awaiting_approval', shadow: 'shadowed' } as const

/** A denial by a freeze. The constraints' use is shown, but none of them is what binds. */
export function frozen(
  trigger: Trigger,
  freeze: Freeze,
  verdict: Verdict,
  at: number,
): { decision: Decision; detail: string } {
  const thawsAt = freeze.expires_at === null ? null : Date.parse(freeze.expires_at)
  const allowedAt = thawsAt === null || verdict.allowedAt === null ? null : Math.max(thawsAt, verdict.allowedAt)
  const receipts = verdict.receipts.map((receipt) => ({ ...receipt, binding: false }))
  const until = freeze.expires_at === null ? 'until it is lifted' : `until ${freeze.expires_at}`
  return {
    decision: { ...newDecision(trigger, at, 'frozen', { allowed: false, allowedAt, receipts }), freeze: freeze.id },
    detail: `frozen ${until} by ${freeze.caller}: ${freeze.reason} (freeze ${freeze.id})`,
  }
}

/** The decision on a trigger whose reservation was not made. */
export function deniedByGlobal(
  reserving: Decision,
  answer: ReserveAnswer,
  now: number,
): { decision: Decision; detail: string } {
  const { approval: _, ...judged } = reserving
  const base = { ...judged, id: null, at: new Date(now).toISOString(), outcome: 'denied' as const }
  if ('detail' in answer) {
    const detail = `what ${base.workflow} counts over all datacenters is not known: ${answer.detail}`
    return { decision: { ...base, code: 'ledger_unavailable', allowed_at: null }, detail }
  }
  const { allowedAt, receipts } = decide(answer.judgements, now)
  const decision: Decision = {
    ...base,
    code: 'constraint_denied',
    allowed_at: allowedAt === null ? null : new Date(allowedAt).toISOString(),
    constraints: joinReceipts(base.constraints, answer.judgements, false),
  }
  const binding = receipts.find((receipt) => receipt.binding)
  return { decision, detail: binding === undefined ? `${base.workflow} may not run` : sentence(binding) }
}

/** Why a verdict denies, in words. */
export function explain(store: LedgerStore, trigger: Trigger, verdict: Verdict): string {
  const binding = verdict.receipts.find((receipt) => receipt.binding)
  if (binding === undefined) return `${trigger.workflow} may not run`
  if (binding.kind !== 'maxFailure') return sentence(binding)
  const scope = scopeName(trigger.workflow, binding.scope === 'node' ? binding.key : null)
  const trip = store.failures.usage(scope).trip
  const since = trip === null ? '' : ` Tripped at ${new Date(trip.at).toISOString()}`
  const failed = store.failures.newest(scope, 5).join(', ')
  const reset = `resile reset ${trigger.workflow} --reason … once the cause is known`
  return `${sentence(binding)}.${since} by ${failed || 'executions no longer kept'}; ${reset}`
}

/** One line of a receipt in words. */
function sentence({ kind, scope, key, used, limit, period, allowed_at }: Verdict['receipts'][number]): string {
  const within = period === null || kind === 'concurrency' ? '' : ` within ${period}`
  const until = kind === 'maxFailure' ? 'until it is reset' : (allowed_at ?? 'until one of them ends')
  const when = allowed_at === null || kind === 'maxFailure' ? until : `until ${allowed_at}`
  return `${kind} (${scope} ${key}): ${used} ${COUNTED[kind]}${within}, limit ${limit}, ${when}`
}

const COUNTED: Readonly<Record<Constraint['kind'], string>> = {
  maxExecution: 'started',
  concurrency: 'open',
  exclusive: 'open on the node',
  maxUnavailable: 'other nodes unavailable',
  maxFailure: 'failed',
}

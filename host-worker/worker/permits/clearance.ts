/**
 * What a host asks its coordinator before it is first changed for an execution: whether it is frozen, and whether the
 * execution is open. A permit holds as long as the execution could run; only the coordinator knows what happened since.
 */
import type { HeartbeatAnswer } from '../../../shared/heartbeat.ts'
import type { Freeze } from '../../../shared/wire.ts'
import { PermitRefused } from './refused.ts'

/** The coordinator, as far as it is asked. */
export interface ClearanceSource {
  /** Asks now about an execution; null without an answer. */
  confirm(execution: string): Promise<HeartbeatAnswer | null>
  /** The freezes of its last answer. */
  readonly freezes: readonly Freeze[]
}

/** A change that an execution is about to make for the first time. */
export interface FirstChange {
  execution: string
  workflow: string
  datacenter: string
  /** The node that is changed. */
  node: string
  /** The execution's first run, whatever continued or reset it since. */
  firstRunId: string
}

/** A change that may be made later. `type` is that of the activity's failure, which Temporal retries. */
export class ChangeDeferred extends Error {
  readonly type: 'HostFrozen' | 'OverLimit'

  constructor(type: ChangeDeferred['type'], message: string) {
    super(message)
    this.type = type
  }
}

/**
 * Asks the coordinator about a change. Without an answer the freezes that are known hold, and the execution counts as what
 * Temporal and the permit say.
 *
 * @param now milliseconds since the epoch
 * @throws ChangeDeferred while the node is frozen, or a reset execution is one too many
 * @throws PermitRefused `wrong_workflow` when the coordinator knows that it has ended, or that it is another run
 */
export async function checkClearance(source: ClearanceSource, change: FirstChange, now: number): Promise<void> {
  const answer = await source.confirm(change.execution)
  const freeze = (answer?.freezes ?? source.freezes).find((one) => covers(one, change, now))
  if (freeze !== undefined) {
    const until = freeze.expires_at === null ? 'it is lifted' : freeze.expires_at
    throw new ChangeDeferred('HostFrozen', `${change.node} is frozen until ${until} (${freeze.id}: ${freeze.reason})`)
  }
  const known = answer?.executions.find(({ id }) => id === change.execution)
  if (known === undefined || known.status === 'unknown') return
  const run = known.first_run_id
  if (known.status === 'closed' || (run !== null && run !== change.firstRunId)) {
    const why = known.status === 'closed' ? 'has ended' : 'was started again'
    throw new PermitRefused('wrong_workflow', `${change.execution} ${why}, as the coordinator knows`)
  }
  if (known.status === 'over_limit') {
    throw new ChangeDeferred('OverLimit', `${change.execution} had ended and was reset; others run meanwhile`)
  }
}

function covers({ scope, expires_at }: Freeze, { workflow, datacenter, node }: FirstChange, now: number): boolean {
  if (expires_at !== null && Date.parse(expires_at) <= now) return false
  const fits = (wanted: string | undefined, actual: string): boolean => wanted === undefined || wanted === actual
  return fits(scope.workflow, workflow) && fits(scope.datacenter, datacenter) && fits(scope.node, node)
}

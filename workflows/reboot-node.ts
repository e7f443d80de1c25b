/** Reboots a node: out of production, reboot, healthy again, back. */
import {
  bringBack,
  type CheckRequest,
  checkHttp,
  collectDiagnostics,
  describeCommand,
  drainPreview,
  fail,
  failureType,
  failWithDiagnostics,
  foundBy,
  milliseconds,
  type PoolInput,
  type RebootResult,
  type Run,
  rebootHost,
  stayOut,
  targetPool,
  type Undo,
  undoingOnFailure,
  untilHealthy,
} from 'resile/workflow'

/** The input, declared for triggers in reboot-node.hcl. Without a pool, the node is not drained. */
export interface Input extends PoolInput {
  /** Name of the command that reboots, as the host's worker.hcl allows it; default `"reboot"`. */
  command?: string
  params?: Record<string, string>
  /** How long the machine may take until it has booted; default `"15m"`. */
  within?: string
  /** How to see that it is healthy after that. */
  check?: CheckRequest
  /** How long that may take; default `"5m"`. */
  verify_for?: string
  /** Says what it would do, and does nothing. */
  dry_run?: boolean
}

/** Failures that prove that the reboot was not begun or did not happen. */
const NOT_REBOOTED: ReadonlySet<string | null> = new Set([
  'CommandNotAllowed',
  'InvalidParams',
  'PermitRefused',
  'HostBusy',
  'JournalUnavailable',
  'BootIdUnknown',
  'CommandFailed',
])

/**
 * Drain, reboot, wait for another boot id and for health, return. A node that does not come back, or not healthy, stays
 * out of its pool, and the execution ends failed.
 *
 * @throws ApplicationFailure `host_unreachable` (it did not come back), `NotRebooted`, `CommandFailed`, `NotHealthy`,
 *   `too_few_servers`, `NotServing`
 */
export async function rebootNode(input: Input, run: Run): Promise<object> {
  const { node } = run.target
  if (node === undefined) return fail('InvalidInput', 'only a node can be rebooted')
  const { command: name = 'reboot', params, within = '15m', check, verify_for: verifyFor = '5m' } = input
  const verifyWithin = milliseconds(verifyFor)
  const pool = targetPool(input, run)
  if (pool !== null && check === undefined) return fail('InvalidInput', 'a node of a pool needs a check to go back')
  const command = { name, ...(params === undefined ? {} : { params }) }
  // Refused before anything is touched, if the host would refuse it.
  const described = await describeCommand(command)
  const before = { health: check === undefined ? null : await checkHttp(check), host: await collectDiagnostics() }
  if (input.dry_run) {
    const drain = pool === null ? null : drainPreview(await pool.read(), node, input.min_servers)
    return { dry_run: true, before, would_run: described, drain }
  }
  const { drained, reboot } = await undoingOnFailure(async (undo) => {
    const report = pool === null ? null : await pool.drain(undo)
    return { drained: report, reboot: await rebootOrStayOut(command, within, undo) }
  })
  const evidence = { before, drained, reboot }
  const meanwhile = (): Promise<void> => stayOut(pool, drained)
  const health = check === undefined ? null : await untilHealthy(check, verifyWithin, { meanwhile })
  if (health !== null && !health.healthy) {
    await stayOut(pool, drained, 'now')
    const found = foundBy(health.last)
    const place = pool === null ? node : `${node}, which stays out of pool ${input.pool},`
    const message = `${check?.url} on ${place} is not healthy ${verifyFor} after the reboot: ${found}`
    return failWithDiagnostics('NotHealthy', message, { ...evidence, check: health.last })
  }
  const returned = await bringBack(pool, drained)
  return { ...evidence, after: { health: health?.last ?? null, host: await collectDiagnostics() }, returned }
}

/** Once the reboot may have been ordered, the node stays where it does no harm. */
async function rebootOrStayOut(
  { name, params }: { name: string; params?: Record<string, string> },
  within: string,
  undo: Undo,
): Promise<RebootResult> {
  try {
    return await rebootHost({ command: name, within, ...(params === undefined ? {} : { params }) })
  } catch (error) {
    if (!NOT_REBOOTED.has(failureType(error))) undo.forget()
    throw error
  }
}

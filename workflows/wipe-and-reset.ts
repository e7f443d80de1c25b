/** Makes a node new after an experiment: out of production, wiped, provisioned, verified, back. */
import {
  bringBack,
  type CheckRequest,
  type CommandRequest,
  type CommandResult,
  checkHttp,
  collectDiagnostics,
  describeCommand,
  drainPreview,
  fail,
  failWithDiagnostics,
  foundBy,
  milliseconds,
  type PoolInput,
  type Run,
  runOrFail,
  stayOut,
  targetPool,
  undoingOnFailure,
  untilHealthy,
} from 'resile/workflow'

/** The input, declared for triggers in wipe-and-reset.hcl. Without a pool, the node is not drained. */
export interface Input extends PoolInput {
  /** Names of the commands, as the host's worker.hcl allows them; default `"wipe"` and `"provision"`. */
  wipe?: string
  wipe_params?: Record<string, string>
  provision?: string
  provision_params?: Record<string, string>
  /** How to see that the node is as it should be. */
  check: CheckRequest
  /** How long that may take after the provision; default `"10m"`. */
  verify_for?: string
  /** Says what it would do, and does nothing. */
  dry_run?: boolean
}

/**
 * Drain, wipe, provision, verify, return. From the beginning of the wipe there is no way back: a node that is not healthy
 * at the end stays out of its pool, and the execution ends failed.
 *
 * @throws ApplicationFailure `too_few_servers`, `CommandFailed`, `OutcomeUnknown` (the machine died in the middle),
 *   `host_unreachable`, `NotHealthy`, `NotServing`
 */
export async function wipeAndReset(input: Input, run: Run): Promise<object> {
  const { node } = run.target
  if (node === undefined) return fail('InvalidInput', 'only a node can be wiped')
  const { check, verify_for: verifyFor = '10m' } = input
  const within = milliseconds(verifyFor)
  const pool = targetPool(input, run)
  const wipe = order(input.wipe ?? 'wipe', input.wipe_params)
  const provision = order(input.provision ?? 'provision', input.provision_params)
  // Refused before anything is touched, if the host would refuse one of them.
  const described = [await describeCommand(wipe), await describeCommand(provision)]
  const before = { health: await checkHttp(check), host: await collectDiagnostics() }
  if (input.dry_run) {
    const drain = pool === null ? null : drainPreview(await pool.read(), node, input.min_servers)
    return { dry_run: true, before, would_run: described, drain }
  }
  const { drained, wiped, provisioned } = await undoingOnFailure(async (undo) => {
    const report = pool === null ? null : await pool.drain(undo)
    undo.forget()
    return { drained: report, wiped: await runOrFail(wipe), provisioned: await runOrFail(provision) }
  })
  const evidence = { before, drained, wiped: brief(wiped), provisioned: brief(provisioned) }
  const meanwhile = (): Promise<void> => stayOut(pool, drained)
  const { healthy, last } = await untilHealthy(check, within, { meanwhile })
  if (!healthy) {
    await stayOut(pool, drained, 'now')
    const place = pool === null ? node : `${node}, which stays out of pool ${input.pool},`
    const found = foundBy(last)
    const message = `${check.url} on ${place} is not healthy ${verifyFor} after it was provisioned: ${found}`
    return failWithDiagnostics('NotHealthy', message, { ...evidence, check: last })
  }
  const returned = await bringBack(pool, drained)
  return { ...evidence, after: { health: last, host: await collectDiagnostics() }, returned }
}

/** These go on when the host's worker dies: half a wipe is worse than a whole one. */
function order(name: string, params: Record<string, string> | undefined): CommandRequest {
  return { name, outlivesWorker: true, ...(params === undefined ? {} : { params }) }
}

function brief({ exitCode, durationMs }: CommandResult): Pick<CommandResult, 'exitCode' | 'durationMs'> {
  return { exitCode, durationMs }
}

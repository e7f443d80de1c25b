/** Takes an errant server out of production, and brings it back when it is healthy. */
import {
  bringBack,
  type CheckRequest,
  type CheckResult,
  checkHttp,
  drainPreview,
  fail,
  failureType,
  failWithDiagnostics,
  foundBy,
  milliseconds,
  type PoolInput,
  type Run,
  targetPool,
  undoingOnFailure,
  untilHealthy,
} from 'resile/workflow'

/** The input, declared for triggers in drain-node.hcl. */
export interface Input extends PoolInput {
  pool: string
  /** How to check that the server is healthy; required to bring it back. */
  check?: CheckRequest
  /** How long to wait for that; without it the server stays out until `return-node` brings it back. */
  return_within?: string
  /** For how long it has to be healthy first; default `"30s"`. */
  healthy_for?: string
  /** Says whether it would, and does nothing. */
  dry_run?: boolean
}

/**
 * Drain, wait for health, return. A server that does not recover stays out, and the execution ends failed: out of
 * production is where it does no harm.
 *
 * @throws ApplicationFailure `too_few_servers`, `NotHealthy`, `NotServing`, `InvalidInput`
 */
export async function drainNode(input: Input, run: Run): Promise<object> {
  const pool = targetPool(input, run)
  const { node } = run.target
  if (pool === null || node === undefined) return fail('InvalidInput', 'pool is required')
  const { check, return_within: returnWithin, healthy_for: healthyFor = '30s' } = input
  const within = returnWithin === undefined ? null : milliseconds(returnWithin)
  const steady = milliseconds(healthyFor)
  if (within !== null && check === undefined) return fail('InvalidInput', 'return_within needs a check')
  const health = check === undefined ? null : await healthOf(check)
  if (input.dry_run) return { dry_run: true, health, drain: drainPreview(await pool.read(), node, input.min_servers) }
  const drained = await undoingOnFailure((undo) => pool.drain(undo))
  const evidence = { health, drained }
  if (within === null || check === undefined || !drained.tookOut) {
    await pool.keepOut(drained, 'now')
    return { ...evidence, returned: null }
  }
  const began = Date.now()
  const meanwhile = (): Promise<void> => pool.keepOut(drained)
  const { healthy, checks, last } = await untilHealthy(check, within, { steady, toleratesUnreachable: true, meanwhile })
  if (!healthy) {
    await pool.keepOut(drained, 'now')
    const found = foundBy(last)
    const message = `${node} stays out of pool ${input.pool}: ${check.url} is not healthy within ${returnWithin}: ${found}`
    return failWithDiagnostics('NotHealthy', message, { ...evidence, check: last, checks })
  }
  const returned = await bringBack(pool, drained)
  return { ...evidence, returned, recovered_after_ms: Date.now() - began, checks, after: last }
}

/** What the node's check finds; null when the node does not answer, which is no reason to leave it in its pool. */
async function healthOf(check: CheckRequest): Promise<CheckResult | null> {
  try {
    return await checkHttp(check)
  } catch (error) {
    if (failureType(error) === 'CheckNotAllowed') throw error
    return null
  }
}

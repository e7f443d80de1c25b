/** Brings a node back into production that was taken out, once it is healthy. */
import {
  type CheckRequest,
  fail,
  failWithDiagnostics,
  foundBy,
  milliseconds,
  type PoolInput,
  type Run,
  targetPool,
  undoingOnFailure,
  untilHealthy,
} from 'resile/workflow'

/** The input, declared for triggers in return-node.hcl. */
export interface Input extends PoolInput {
  pool: string
  /** How to see that the node is healthy. */
  check: CheckRequest
  /** How long to wait for that; default `"1m"`. */
  verify_for?: string
  /** For how long it has to be healthy first; default `"10s"`. */
  healthy_for?: string
  /** Says what it found, and does nothing. */
  dry_run?: boolean
}

/**
 * Check, return, verify. A node that then does not serve is taken out again.
 *
 * @throws ApplicationFailure `NotHealthy`, `NotServing`, `InvalidInput`
 */
export async function returnNode(input: Input, run: Run): Promise<object> {
  const pool = targetPool(input, run)
  const { node } = run.target
  if (pool === null || node === undefined) return fail('InvalidInput', 'pool is required')
  const { check, verify_for: verifyFor = '1m', healthy_for: healthyFor = '10s' } = input
  const within = milliseconds(verifyFor)
  const steady = milliseconds(healthyFor)
  const health = await untilHealthy(check, input.dry_run ? 0 : within, { steady: input.dry_run ? 0 : steady })
  if (input.dry_run) return { dry_run: true, health: health.last, pool: await pool.read() }
  if (!health.healthy) {
    const found = foundBy(health.last)
    const message = `${node} stays as it is: ${check.url} is not healthy within ${verifyFor}: ${found}`
    return failWithDiagnostics('NotHealthy', message, { check: health.last, checks: health.checks })
  }
  const returned = await undoingOnFailure(async (undo) => {
    const before = await pool.read()
    const wasOut = before.servers.some((server) => server.node === node && !server.inRotation)
    // Noted first: what is cut off may have been done.
    if (wasOut) undo.note(`take ${node} out of pool ${input.pool} again`, () => pool.takeOut())
    return pool.restore()
  })
  return { health: health.last, checks: health.checks, returned }
}

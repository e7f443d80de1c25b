/** May this caller make this request? Route rules, default deny. */
import { ANONYMOUS } from '../../shared/callers.ts'
import type { Config } from '../../shared/config.ts'
import { findPass, type Pass } from '../../shared/route-rules.ts'
import { ProblemError } from '../http/problem.ts'
import type { Identity } from './identify.ts'

/**
 * Authorises one request.
 *
 * @throws ProblemError `unauthenticated` for an anonymous caller, `forbidden` for any other that no rule lets pass
 */
export function authorise(config: Config, { caller, reason }: Identity, method: string, path: string): Pass {
  const pass = findPass(config, caller, method, path)
  if (pass !== null) return pass
  if (caller === ANONYMOUS) {
    const because = reason === null ? '' : `; ${reason}`
    throw new ProblemError('unauthenticated', `no rule lets anonymous callers ${method} ${path}${because}`)
  }
  throw new ProblemError('forbidden', `no rule lets ${caller} ${method} ${path}`)
}

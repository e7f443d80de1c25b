/** Whose requests have their body read: the coordinator's own rules, applied to the head alone. */
import { identify } from '../../../edge/access/identify.ts'
import type { Config } from '../../../shared/config.ts'
import { decodedPath } from '../../../shared/path.ts'
import { findPass } from '../../../shared/route-rules.ts'
import { maySign } from '../../../shared/signed-paths.ts'
import type { ConnectionFacts } from './client-auth.ts'
import type { RequestHead } from './request.ts'

/** Whether a request's body is read before the coordinator sees it. */
export type BodyRule = (head: RequestHead, facts: ConnectionFacts) => boolean

/** Reads the bodies of callers that a route rule lets pass, and of those who may be known by a signature. */
export function bodyRule(config: Config): BodyRule {
  return ({ method, path }, { tlsClientAuth }) => {
    const decoded = decodedPath(`http://coordinator${path}`)
    if (maySign(method, decoded)) return true
    try {
      return findPass(config, identify(config, 'network', tlsClientAuth).caller, method, decoded) !== null
    } catch {
      // A certificate that can't be trusted: the coordinator says why.
      return false
    }
  }
}

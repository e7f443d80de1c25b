/** The caller's client certificate, as the TLS terminator passes it on. */
import { isPermittedDomain } from '../../shared/callers.ts'
import type { ServerConfig } from '../../shared/config.ts'
import { trustDomainOf } from '../../shared/spiffe-id.ts'
import { ProblemError } from '../http/problem.ts'
import { readSvid } from './svid.ts'

/**
 * The part of `request.cf.tlsClientAuth` that is used. Cloudflare fills it at the edge, the coordinator's own front in a
 * datacenter. `certRFC9440` is there for certificates too that didn't verify.
 *
 * @see https://developers.cloudflare.com/workers/runtime-apis/request/#incomingrequestcfproperties
 */
export interface TlsClientAuth {
  certPresented?: string
  /** `SUCCESS`, `NONE` or `FAILED:` and why. */
  certVerified?: string
  certRevoked?: string
  certRFC9440?: string
}

/** What is used of `request.cf`, which only the TLS terminator can set. */
function cfOf(request: Request): { tlsClientAuth?: TlsClientAuth; withoutBody?: 'refused' | 'too_large' } {
  return (request as { cf?: ReturnType<typeof cfOf> }).cf ?? {}
}

/** What the TLS terminator says of a request's client certificate. */
export function clientAuthOf(request: Request): TlsClientAuth | undefined {
  return cfOf(request).tlsClientAuth
}

/**
 * Why the front has kept a request's body back, if it has: no rule lets the caller pass, or it is too large. Such a request
 * is only here to be refused, and logged.
 */
export function withoutBody(request: Request): 'refused' | 'too_large' | undefined {
  return cfOf(request).withoutBody
}

/** The SPIFFE ID that a certificate proves, or why there is none. */
export type Proof = { id: string } | { id: null; reason: string }

const REFUSED = 'the client certificate was refused'

/**
 * Reads the identity out of a verified client certificate. Without a certificate, or with one whose names are no
 * identity, the caller has none.
 *
 * @param now milliseconds since the epoch
 * @throws ProblemError `unauthenticated` for a certificate that was presented and can't be trusted
 */
export function proofOf(auth: TlsClientAuth | undefined, server: ServerConfig, now: number): Proof {
  if (auth === undefined || auth.certPresented !== '1') return { id: null, reason: 'there is no client certificate' }
  if (auth.certVerified !== 'SUCCESS') {
    const why = auth.certVerified?.replace(/^FAILED:\s*/, '') ?? 'it was not verified'
    throw new ProblemError('unauthenticated', `${REFUSED}: ${why}`)
  }
  if (auth.certRevoked !== '0') throw new ProblemError('unauthenticated', `${REFUSED}: it is revoked`)
  const svid = readSvid(auth.certRFC9440 ?? '')
  if (svid === null) throw new ProblemError('unauthenticated', `${REFUSED}: it can't be read`)
  if (!svid.isForClients) {
    const why = 'its extended key usage has no clientAuth: issue one for clients'
    throw new ProblemError('unauthenticated', `${REFUSED}: ${why}`)
  }
  // The TLS terminator checked this when the connection was made, which may be long ago.
  if (now < svid.notBefore) throw new ProblemError('unauthenticated', `${REFUSED}: it is not valid yet`)
  if (now > svid.notAfter) throw new ProblemError('unauthenticated', `${REFUSED}: it has expired`)
  if (svid.id === null) return { id: null, reason: `the client certificate identifies no caller: ${svid.reason}` }
  const domain = trustDomainOf(svid.id)
  if (!isPermittedDomain(domain, server)) {
    return { id: null, reason: `the client certificate identifies no caller: trust domain ${domain} is not permitted` }
  }
  return { id: svid.id }
}

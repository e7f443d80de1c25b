/** Whether a host can say who it is. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isSpiffeId } from '../../shared/spiffe-id.ts'
import { namesOf } from '../certs/authority.ts'
import { type Finding, fail, ok, warn, worst } from './check.ts'

/** One's own certificate, as the files have it. */
export interface OwnCertificate {
  /** PEM; what follows the first certificate is ignored. */
  cert: string
  key: string
  /** The SPIFFE ID that the coordinator expects of this node; null when that is not known. */
  expectedId: string | null
}

const DAY_MS = 86_400_000
/** A certificate that is about to end, in milliseconds; of a short-lived one the last third. */
const EXPIRES_SOON_MS = 7 * DAY_MS

/** Judges a certificate at a time, in milliseconds since the epoch. */
export function judgeCertificate({ cert, key, expectedId }: OwnCertificate, now: number): Finding {
  const certificate = parse(() => new X509Certificate(cert))
  if (certificate === null) return fail('the certificate can not be read: it is not PEM')
  const privateKey = parse(() => createPrivateKey(key))
  if (privateKey === null) return fail('the key can not be read: it is not a private key in PEM')
  if (!certificate.checkPrivateKey(privateKey)) {
    return fail('the key is not that of the certificate', 'cert_file and key_file must be of one pair')
  }
  return worst([judgeLife(certificate, now), judgeId(cert, expectedId)])
}

function judgeLife({ validFromDate, validToDate }: X509Certificate, now: number): Finding {
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()]
  const hint = 'renew it; the worker reads it again by itself'
  if (now < from) return fail(`is valid only from ${validFromDate.toISOString()} on`, "check this host's clock")
  if (now >= to) return fail(`expired at ${validToDate.toISOString()}`, hint)
  const soon = Math.min(EXPIRES_SOON_MS, (to - from) / 3)
  return to - now < soon
    ? warn(`expires soon, at ${validToDate.toISOString()}`, hint)
    : ok(`is valid until ${validToDate.toISOString()}`)
}

function judgeId(cert: string, expectedId: string | null): Finding {
  const uris = namesOf(cert).flatMap(({ type, value }) => (type === 'url' ? value : []))
  const [id, ...others] = uris
  const hint = 'the coordinator knows a caller by the one SPIFFE ID in its certificate'
  if (id === undefined || others.length > 0 || !isSpiffeId(id)) {
    return fail(`names ${uris.join(', ') || 'no identity'}, which is not exactly one SPIFFE ID`, hint)
  }
  if (expectedId === null || id === expectedId) return ok(`is ${id}`)
  return warn(`is ${id}, not ${expectedId} as worker_id requires`, 'its heartbeats need a route rule')
}

function parse<T>(read: () => T): T | null {
  try {
    return read()
  } catch {
    return null
  }
}

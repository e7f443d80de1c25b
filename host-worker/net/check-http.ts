import { lookup as resolveName } from 'node:dns'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { ANY_HOST, type CheckPolicy } from '../../shared/check-policy.ts'
import { parseDuration } from '../../shared/duration.ts'
import type { CheckRequest, CheckResult } from '../../workflows/sdk/activities.ts'
import { readTrustedFile } from '../process/file-trust.ts'
import { isCheckerFailure } from './checker-failure.ts'

const DEFAULT_TIMEOUT_MS = 5000

/** The policy does not let a check request its URL. */
export class CheckRefused extends Error {}

/**
 * The health check of the activity `checkHttp` and of the detector's `http_check`. Errors are part of the result;
 * `unknown` is set when they are not the service's. Redirects are not followed, since a redirect is an answer too.
 *
 * @param caFile PEM: CAs of the service's certificate; by default those that Node and the system trust
 * @throws CheckRefused when `policy` does not let it request the URL, or any address that its host resolves to
 */
export async function checkHttp(
  request: CheckRequest,
  policy: CheckPolicy = ANY_HOST,
  caFile: string | null = null,
): Promise<CheckResult> {
  const began = performance.now()
  const durationMs = (): number => Math.round(performance.now() - began)
  try {
    const timeout = request.timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(request.timeout)
    if (timeout === null) throw new Error(`timeout is not a duration: ${request.timeout}`)
    const url = new URL(request.url)
    const ca = url.protocol === 'https:' ? await trusted(caFile) : undefined
    const status = await ask(url, policy, ca, AbortSignal.timeout(timeout))
    const expected = request.expectStatus ?? 200
    const ok = status === expected
    const error = ok ? {} : { error: `status ${status}, expected ${expected}` }
    return { ok, status, durationMs: durationMs(), ...error }
  } catch (error) {
    if (error instanceof CheckRefused) throw error
    const unknown = isCheckerFailure(error) || error instanceof CertificatesUnreadable
    const message = unknown ? `could not be checked: ${describe(error)}` : describe(error)
    return { ok: false, status: 0, durationMs: durationMs(), error: message, ...(unknown ? { unknown } : {}) }
  }
}

/** The status of the answer to a GET request; its body is not read. */
async function ask(url: URL, policy: CheckPolicy, ca: string[] | undefined, signal: AbortSignal): Promise<number> {
  const refusal = policy.refuseUrl(url)
  if (refusal !== null) throw new CheckRefused(refusal)
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  const options = {
    signal,
    // A kept connection to a service that was just restarted would fail the first check for nothing.
    agent: false,
    headers: { connection: 'close', accept: '*/*', 'user-agent': 'resile' },
    lookup: permittedAddresses(url, policy),
    ...(ca === undefined ? {} : { ca }),
  } as const
  return new Promise((resolve, reject) => {
    const outgoing = send(url, options, (response) => {
      resolve(response.statusCode ?? 0)
      response.destroy()
    })
    outgoing.on('error', (error) => reject(signal.aborted ? new Error('timed out') : error)).end()
  })
}

/** The file of CAs can't be read. */
class CertificatesUnreadable extends Error {}

let systemCertificates: string[] | undefined

/** What Node trusts by default, and what the system's administrator has added; or a file's certificates alone. */
async function trusted(caFile: string | null): Promise<string[]> {
  if (caFile === null) {
    systemCertificates ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]
    return systemCertificates
  }
  try {
    return [await readTrustedFile(caFile)]
  } catch (error) {
    throw new CertificatesUnreadable(describe(error))
  }
}

/** Resolves a name to the addresses that may be requested: those that are connected to are those that were judged. */
function permittedAddresses(url: URL, policy: CheckPolicy): LookupFunction {
  return (hostname, options, callback) => {
    resolveName(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const refusals = addresses.map(({ address }) => policy.refuseAddress(url, address))
      const permitted = addresses.filter((_, index) => refusals[index] === null)
      const [first] = permitted
      if (first === undefined) callback(new CheckRefused(refusals[0] ?? `${hostname} has no address`), [])
      else if (options.all === true) callback(null, permitted)
      else callback(null, first.address, first.family)
    })
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Of several addresses, none answered.
  const cause: unknown = error instanceof AggregateError ? error.errors[0] : error
  if (!(cause instanceof Error)) return error.message
  return cause.message || ('code' in cause ? String(cause.code) : cause.name)
}

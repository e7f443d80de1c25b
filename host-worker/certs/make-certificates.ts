/** A directory of development certificates: what a coordinator with TLS and its callers need on one machine. */
import { KeyObject, type webcrypto, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { readIfThere, replaceFile } from '../process/private-file.ts'
import { type Authority, issue, type Leaf, namesOf, selfSign, type Validity } from './authority.ts'
import { BadCertificateFile } from './bad-file.ts'
import type { Client } from './clients.ts'
import { LOCAL_HOSTS } from './hosts.ts'
import { isReusable } from './is-reusable.ts'
import { loadOrCreateKey } from './key-file.ts'
import { type CertificatePaths, certificatePaths, clientPaths } from './paths.ts'
import { loadOrCreatePermitKeys, publicKeys, rotate } from './permit-keys.ts'

export interface CertificateOptions {
  directory: string
  /** The server's names beside `localhost`, `127.0.0.1` and `::1`, each as `canonicalHost` spells it. */
  hosts: readonly string[]
  clients: readonly Client[]
  /** How long server and client certificates that are made now hold. */
  days: number
  /** Whether a new key signs permits from now on. */
  rotatePermitKey?: boolean
  /** Milliseconds since 1970. */
  now?: number
}

/** One file of the directory, as `resile certs --json` prints it. */
export interface CertificateFile {
  /** Absolute. */
  path: string
  kind: 'ca' | 'ca_key' | 'server' | 'server_key' | 'client' | 'client_key' | 'permit_keys' | 'jwks'
  /** Whose a client's certificate is: a SPIFFE ID. */
  uri?: string
  /** The names in a server's certificate: DNS names and IP addresses. */
  hosts?: string[]
  /** When a certificate ends, RFC 3339; null for what isn't one. */
  not_after: string | null
  /** Written now; what was there already, and good, is kept. */
  made: boolean
}

export interface CertificateFiles {
  /** Absolute. */
  directory: string
  paths: CertificatePaths
  /** The authority's first, then the server's, the clients' and those for permits. */
  files: CertificateFile[]
}

/**
 * Makes what is missing in a directory, and replaces what is no longer valid: certificates with less than a tenth of
 * their validity left, of another name, or of another CA. A new certificate is for the key that is there.
 *
 * Two that do this at once don't harm each other, and one that is interrupted is continued by the next.
 *
 * @throws BadCertificateFile when there is a CA without its key or that has expired, or a key that is none
 */
export async function makeCertificates(options: CertificateOptions): Promise<CertificateFiles> {
  const directory = resolve(options.directory)
  const paths = certificatePaths(directory)
  const now = options.now ?? Date.now()
  const { authority, files } = await openAuthority(paths, now)
  files.push(...(await makeServer(authority, paths, { ...options, now })))
  for (const client of options.clients) {
    files.push(...(await makeClient(authority, directory, client, { ...options, now })))
  }
  files.push(...(await makePermitKeys(paths, options.rotatePermitKey ?? false)))
  return { directory, paths, files }
}

const CA_NAME = 'Resile development CA'
const CA_DAYS = 3653
const DAY_MS = 86_400_000
/** For clocks that are a little behind. */
const BACKDATED_MS = 5 * 60_000

interface Term {
  days: number
  now: number
}

async function openAuthority(paths: CertificatePaths, now: number) {
  const there = await readIfThere(paths.ca)
  if (there !== null && (await readIfThere(paths.caKey)) === null) {
    const what = `has no key: ${paths.caKey} is missing. Put it back, or delete the certificate to have a new CA made`
    throw new BadCertificateFile(paths.ca, what)
  }
  const { keys, made } = await loadOrCreateKey(paths.caKey)
  const pem = there ?? (await selfSign(CA_NAME, keys, validity({ days: CA_DAYS, now })))
  // Its own new certificate passes as well.
  checkAuthority(pem, keys, paths, now)
  if (there === null) await replaceFile(paths.ca, pem)
  const files: CertificateFile[] = [
    { path: paths.ca, kind: 'ca', not_after: endOf(pem).toISOString(), made: there === null },
    { path: paths.caKey, kind: 'ca_key', not_after: null, made },
  ]
  return { authority: { pem, keys }, files }
}

function checkAuthority(pem: string, keys: webcrypto.CryptoKeyPair, paths: CertificatePaths, now: number): void {
  const certificate = parseAuthority(pem, paths.ca)
  if (!certificate.ca) throw new BadCertificateFile(paths.ca, 'is not the certificate of a CA')
  if (!KeyObject.from(keys.publicKey).equals(certificate.publicKey)) {
    throw new BadCertificateFile(paths.caKey, `is not the key of ${paths.ca}`)
  }
  const end = certificate.validToDate
  if (end.getTime() <= now) {
    const what = `expired at ${end.toISOString()}: delete it to have a new one made, and give that to everybody who trusts this one`
    throw new BadCertificateFile(paths.ca, what)
  }
}

function parseAuthority(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new BadCertificateFile(file, 'is not a certificate in PEM')
  }
}

async function makeServer(
  authority: Authority,
  paths: CertificatePaths,
  options: Term & { hosts: readonly string[] },
): Promise<CertificateFile[]> {
  const hosts = [...new Set([...LOCAL_HOSTS, ...options.hosts])]
  const leaf = await makeLeaf(authority, paths.server, paths.serverKey, options, {
    commonName: 'Resile development server',
    names: hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
    usage: 'server',
  })
  return [
    { ...leaf.certificate, kind: 'server', hosts: leaf.names },
    { ...leaf.key, kind: 'server_key' },
  ]
}

async function makeClient(
  authority: Authority,
  directory: string,
  { name, uri }: Client,
  term: Term,
): Promise<CertificateFile[]> {
  const paths = clientPaths(directory, name)
  const leaf = await makeLeaf(authority, paths.certificate, paths.key, term, {
    // RFC 5280 permits 64 characters.
    commonName: name.slice(0, 64),
    names: [{ type: 'url', value: uri }],
    usage: 'client',
  })
  return [
    { ...leaf.certificate, kind: 'client', uri },
    { ...leaf.key, kind: 'client_key', uri },
  ]
}

async function makeLeaf(
  authority: Authority,
  file: string,
  keyFile: string,
  term: Term,
  leaf: Pick<Leaf, 'commonName' | 'names' | 'usage'>,
) {
  // The key stays, so that certificate and key belong together at any moment.
  const { keys, made: keyMade } = await loadOrCreateKey(keyFile)
  const { publicKey } = keys
  const there = await readIfThere(file)
  // A server's other names are no harm: a name given once needn't be given every time.
  const requirements = {
    ca: authority.pem,
    publicKey,
    names: leaf.names,
    moreNames: leaf.usage === 'server',
    now: term.now,
  }
  const kept = there !== null && isReusable(there, requirements) ? there : null
  const pem = kept ?? (await issue(authority, { ...leaf, publicKey, validity: validity(term, endOf(authority.pem)) }))
  if (kept === null) await replaceFile(file, pem)
  return {
    certificate: { path: file, not_after: endOf(pem).toISOString(), made: kept === null },
    key: { path: keyFile, not_after: null, made: keyMade },
    names: namesOf(pem).map(({ value }) => value),
  }
}

async function makePermitKeys(paths: CertificatePaths, rotating: boolean): Promise<CertificateFile[]> {
  const { set, made } = await loadOrCreatePermitKeys(paths.permitKeys)
  const rotated = rotating && !made
  const jwks = `${JSON.stringify(publicKeys(rotated ? await rotate(paths.permitKeys) : set), null, 2)}\n`
  const stale = (await readIfThere(paths.jwks)) !== jwks
  if (stale) await replaceFile(paths.jwks, jwks)
  return [
    { path: paths.permitKeys, kind: 'permit_keys', not_after: null, made: made || rotated },
    { path: paths.jwks, kind: 'jwks', not_after: null, made: stale },
  ]
}

/** @param latest no certificate outlives the one that signs it */
function validity({ days, now }: Term, latest?: Date): Validity {
  const second = Math.floor(now / 1000) * 1000
  const end = Math.min(second + days * DAY_MS, latest?.getTime() ?? Number.POSITIVE_INFINITY)
  return { notBefore: new Date(second - BACKDATED_MS), notAfter: new Date(end) }
}

function endOf(pem: string): Date {
  return new X509Certificate(pem).validToDate
}

import 'reflect-metadata'
import { X509Certificate as NodeCertificate } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  Extension,
  type JsonGeneralName,
  PemConverter,
  X509Certificate,
  X509CrlGenerator,
  X509CrlReason,
} from '@peculiar/x509'
import { type Authority, issue, selfSign } from '../../host-worker/certs/authority.ts'
import { keyPairOf, newKeyPem } from '../../host-worker/certs/key-file.ts'

/** What a test's certificate says; nothing of it is checked. By default a client's, without any name. */
export interface TestLeaf {
  /** URIs in its subject alternative names, in this order and as often as they are here. */
  uris?: readonly string[]
  dns?: readonly string[]
  /** One more DNS name, such as `x, URI:spiffe://example.org/admin`, that text made of the names takes for two. */
  rawSan?: string
  /** Five minutes ago, or a day before an end that is past. */
  notBefore?: Date
  /** Tomorrow. */
  notAfter?: Date
  /** Whether it claims to be a CA. */
  ca?: boolean
  /** Hexadecimal, random by default. */
  serial?: string
  /** Whether it is for servers instead of clients. */
  server?: boolean
}

/** A certificate and its key, both PEM; `serial` is in upper-case hexadecimal, as Node and OpenSSL print it. */
export interface TestCertificate {
  certPem: string
  keyPem: string
  serial: string
}

/** A CA that issues whatever a test asks for. */
export interface TestAuthority {
  caPem: string
  issue(leaf?: TestLeaf): Promise<TestCertificate>
  /** A list of revoked certificates, in PEM, good for an hour. Serials as {@link TestCertificate} has them. */
  crlPem(revoked: readonly string[]): Promise<string>
}

/** Makes a CA with a new key: two of the same name do not vouch for each other's certificates. */
export async function testAuthority(name = 'Resile test CA'): Promise<TestAuthority> {
  const keys = keysOf(await newKeyPem())
  const validity = { notBefore: new Date(Date.now() - EARLIER), notAfter: new Date(Date.now() + 10 * DAY) }
  const authority = { pem: await selfSign(name, keys, validity), keys }
  return {
    caPem: authority.pem,
    issue: (leaf = {}) => issueTo(authority, leaf),
    crlPem: (revoked) => revoke(authority, revoked),
  }
}

const DAY = 86_400_000
const EARLIER = 5 * 60_000

async function issueTo(authority: Authority, leaf: TestLeaf): Promise<TestCertificate> {
  const keyPem = await newKeyPem()
  const notAfter = leaf.notAfter ?? new Date(Math.max(Date.now(), leaf.notBefore?.getTime() ?? 0) + DAY)
  const usual = Date.now() - EARLIER
  const notBefore = leaf.notBefore ?? new Date(notAfter.getTime() > usual ? usual : notAfter.getTime() - DAY)
  const certPem = await issue(authority, {
    commonName: 'test',
    publicKey: keysOf(keyPem).publicKey,
    names: namesOf(leaf),
    usage: leaf.server === true ? 'server' : 'client',
    validity: { notBefore, notAfter },
    ca: leaf.ca ?? false,
    ...(leaf.serial === undefined ? {} : { serial: leaf.serial }),
  })
  return { certPem, keyPem, serial: new NodeCertificate(certPem).serialNumber }
}

function namesOf({ uris = [], dns = [], rawSan }: TestLeaf): JsonGeneralName[] {
  return [
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...[...dns, ...(rawSan === undefined ? [] : [rawSan])].map((value) => ({ type: 'dns' as const, value })),
  ]
}

/** A list of revoked certificates in PEM; by default good for an hour. */
export async function revoke(
  { pem, keys }: Authority,
  revoked: readonly string[],
  nextUpdate = new Date(Date.now() + 3_600_000),
): Promise<string> {
  const crl = await X509CrlGenerator.create({
    issuer: new X509Certificate(pem).subjectName,
    thisUpdate: new Date(Date.now() - EARLIER),
    nextUpdate,
    entries: revoked.map((serialNumber) => ({
      serialNumber,
      revocationDate: new Date(Date.now() - EARLIER),
      // Without a reason the library writes an empty list of extensions, which RFC 5280 doesn't permit.
      reason: X509CrlReason.keyCompromise,
    })),
    extensions: [await AuthorityKeyIdentifierExtension.create(keys.publicKey), CRL_NUMBER],
    signingKey: keys.privateKey,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  })
  // The library's own PEM says CRL, which OpenSSL doesn't know: the label is that of RFC 7468 section 6.
  return `${PemConverter.encode(crl.rawData, 'X509 CRL')}\n`
}

/** RFC 5280 section 5.2.3 wants one: the INTEGER 1. */
const CRL_NUMBER = new Extension('2.5.29.20', false, new Uint8Array([2, 1, 1]))

/** The keys of a file; for a test they must be there. */
export function keysOf(pem: string) {
  const keys = keyPairOf(pem)
  if (keys === null) throw new Error('not a key')
  return keys
}

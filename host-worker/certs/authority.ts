/** Signing certificates (RFC 5280): ECDSA P-256 with SHA-256. */
// The library's dependency injection needs it to be loaded first.
import 'reflect-metadata'
import type { webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** When a certificate holds. Certificates know whole seconds. */
export interface Validity {
  notBefore: Date
  notAfter: Date
}

/** One who signs certificates. */
export interface Authority {
  /** Its own certificate, in PEM. */
  pem: string
  keys: webcrypto.CryptoKeyPair
}

/** The holder in a certificate. */
export interface Leaf {
  commonName: string
  /** The holder's. */
  publicKey: webcrypto.CryptoKey
  /** Its subject alternative names. With none, the extension is left out. */
  names: readonly JsonGeneralName[]
  /** Which end of a connection it is for. */
  usage: 'server' | 'client'
  validity: Validity
  /** Hexadecimal; random by default. */
  serial?: string
  /** Whether it claims to be a CA, which only tests of refusals have a use for. */
  ca?: boolean
}

/** Makes a CA's own certificate, which may sign leaves but no further CAs. */
export async function selfSign(commonName: string, keys: webcrypto.CryptoKeyPair, validity: Validity): Promise<string> {
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [commonName] }],
    keys,
    ...validity,
    signingAlgorithm: SIGNING,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

/** Issues a certificate for another party's key, in PEM. */
export async function issue(authority: Authority, leaf: Leaf): Promise<string> {
  const usage = leaf.usage === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth
  const certificate = await X509CertificateGenerator.create({
    subject: [{ CN: [leaf.commonName] }],
    issuer: new X509Certificate(authority.pem).subjectName,
    publicKey: leaf.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: SIGNING,
    ...leaf.validity,
    ...(leaf.serial === undefined ? {} : { serialNumber: leaf.serial }),
    extensions: [
      new BasicConstraintsExtension(leaf.ca ?? false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([usage]),
      ...(leaf.names.length === 0 ? [] : [new SubjectAlternativeNameExtension([...leaf.names])]),
      await SubjectKeyIdentifierExtension.create(leaf.publicKey),
      await AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

/** The subject alternative names of a certificate in PEM, in the spelling that {@link Leaf} takes. */
export function namesOf(pem: string): JsonGeneralName[] {
  return new X509Certificate(pem).getExtension(SubjectAlternativeNameExtension)?.names.toJSON() ?? []
}

const SIGNING = { name: 'ECDSA', hash: 'SHA-256' }

/** Chains of certificates that a client sends: a root, an intermediate CA, and a leaf, each as a test wants it. */
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { newKeyPem } from '../../host-worker/certs/key-file.ts'
import { keysOf, revoke } from './certificates.ts'

/** What a leaf may be used for. */
export type Usage = 'clientAuth' | 'serverAuth' | 'codeSigning'

/** When a certificate ends, and what else differs from an ordinary one. */
export interface Link {
  /** An hour from now. */
  notAfter?: Date
  /** Of a leaf: `clientAuth`; null leaves the extension out. */
  usage?: Usage | null
  uri?: string
}

/** A CA, or the holder of a leaf. */
export interface Holder {
  pem: string
  keyPem: string
  /** Upper-case hexadecimal. */
  serial: string
  /** Signs a CA below it. */
  authority(name: string, link?: Link): Promise<Holder>
  /** Signs a leaf. */
  leaf(link: Link): Promise<Holder>
  /** Its list of revoked certificates, in PEM. */
  crl(revoked: readonly string[], nextUpdate?: Date): Promise<string>
}

/** A root CA under which there may be others. */
export async function rootAuthority(name: string, link: Link = {}): Promise<Holder> {
  return holder(name, link, null, true)
}

async function holder(name: string, link: Link, issuer: Holder | null, isCa: boolean): Promise<Holder> {
  const keyPem = await newKeyPem()
  const { publicKey, privateKey } = keysOf(keyPem)
  const usage = link.usage === undefined ? 'clientAuth' : link.usage
  const certificate = await X509CertificateGenerator.create({
    subject: [{ CN: [name] }],
    issuer: issuer === null ? [{ CN: [name] }] : new X509Certificate(issuer.pem).subjectName,
    publicKey,
    signingKey: issuer === null ? privateKey : keysOf(issuer.keyPem).privateKey,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    notBefore: new Date(Date.now() - 300_000),
    notAfter: link.notAfter ?? new Date(Date.now() + 3_600_000),
    serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8)))
      .toString('hex')
      .replace(/^./, '4'),
    extensions: [
      new BasicConstraintsExtension(isCa, undefined, true),
      new KeyUsagesExtension(
        isCa ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign : KeyUsageFlags.digitalSignature,
        true,
      ),
      ...(isCa || usage === null ? [] : [new ExtendedKeyUsageExtension([ExtendedKeyUsage[usage]])]),
      ...(link.uri === undefined ? [] : [new SubjectAlternativeNameExtension([{ type: 'url', value: link.uri }])]),
    ],
  })
  const pem = `${certificate.toString('pem')}\n`
  const self: Holder = {
    pem,
    keyPem,
    serial: certificate.serialNumber.toUpperCase(),
    authority: (below, more = {}) => holder(below, more, self, true),
    leaf: (more) => holder('leaf', more, self, false),
    crl: (revoked, nextUpdate) => revoke({ pem, keys: keysOf(keyPem) }, revoked, nextUpdate),
  }
  return self
}

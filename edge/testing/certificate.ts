/** Client certificates for tests, and how a TLS terminator passes them on. */
import 'reflect-metadata'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { TlsClientAuth } from '../access/client-certificate.ts'

/** What a certificate is to be like. */
export interface CertificateOptions {
  names?: { type: 'url' | 'dns'; value: string }[]
  /** Whether its list of names is there twice. */
  twice?: boolean
  ca?: boolean
  /** Whether its key may sign certificates. */
  signs?: boolean
  /** Whether its extended key usage has clientAuth; default: true. */
  forClients?: boolean
  /** Milliseconds since the epoch. */
  notBefore?: number
  notAfter?: number
}

const HOUR = 3_600_000
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A self-signed certificate as RFC 9440 writes it: only the TLS terminator checks its issuer. */
export async function certificate({
  names = [],
  twice = false,
  ca = false,
  signs = false,
  forClients = true,
  notBefore = Date.now() - HOUR,
  notAfter = Date.now() + HOUR,
}: CertificateOptions): Promise<string> {
  const alternativeNames: Extension[] = names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]
  const keys = (await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
  const made = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=test',
    keys,
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    signingAlgorithm: ALGORITHM,
    extensions: [
      ...alternativeNames,
      ...(twice ? alternativeNames : []),
      new BasicConstraintsExtension(ca, undefined, true),
      new KeyUsagesExtension(signs ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature, true),
      ...(forClients ? [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])] : []),
    ],
  })
  return `:${btoa(String.fromCharCode(...new Uint8Array(made.rawData)))}:`
}

/** What a verified certificate is handed on as. */
export function verified(certRFC9440: string): TlsClientAuth {
  return { certPresented: '1', certVerified: 'SUCCESS', certRevoked: '0', certRFC9440 }
}

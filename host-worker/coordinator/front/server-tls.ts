/** The front's certificates: read from files, and again when they change. */
import { constants, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { readTrustedFile, Untrusted } from '../../process/file-trust.ts'
import { type Revocation, readRevocation } from './revocation.ts'

/** Paths of PEM files. */
export interface ServerTlsFiles {
  cert: string
  key: string
  /** The CAs of clients' certificates. */
  clientCa: string
  crl: string | null
}

/** The content of the files. */
export interface ServerTls {
  /** Names the content. */
  version: string
  context: SecureContextOptions
  /** The CAs of clients' certificates. */
  authorities: readonly X509Certificate[]
  /** Null without revocation lists. */
  revocation: Revocation | null
}

/** A file that can't be used; the message names it. */
export class BadTlsFile extends Error {}

/**
 * Reads the files and checks that they fit together.
 *
 * @throws BadTlsFile
 */
export async function readServerTls(files: ServerTlsFiles): Promise<ServerTls> {
  const [cert, key, ca, crl] = await Promise.all([
    text(files.cert),
    text(files.key),
    text(files.clientCa),
    files.crl === null ? null : text(files.crl),
  ])
  const context: SecureContextOptions = {
    cert,
    key,
    ca,
    // Of a text with several lists Node reads the first alone.
    ...(crl === null ? {} : { crl: listsIn(files.crl ?? '', crl) }),
    minVersion: 'TLSv1.2',
    honorCipherOrder: true,
    // A resumed session is not verified again: a certificate revoked meanwhile would still be accepted. Nor does Node
    // verify the certificate of a renegotiation: a client with a valid one could continue under another name.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  }
  try {
    createSecureContext(context)
  } catch (error) {
    throw new BadTlsFile(`${files.cert}, ${files.key}${files.crl === null ? '' : `, ${files.crl}`}: ${reason(error)}`)
  }
  return {
    version: [cert, key, ca, crl ?? ''].map((part) => `${part.length}:${part}`).join(),
    context,
    authorities: certificatesIn(files.clientCa, ca),
    revocation: files.crl === null ? null : revocationIn(files.crl, crl ?? ''),
  }
}

async function text(file: string): Promise<string> {
  try {
    return await readTrustedFile(file)
  } catch (error) {
    throw new BadTlsFile(`${file}: ${error instanceof Untrusted ? error.reason : reason(error)}`)
  }
}

function certificatesIn(file: string, pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new BadTlsFile(`${file}: holds no certificate`)
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch (error) {
    throw new BadTlsFile(`${file}: ${reason(error)}`)
  }
}

function listsIn(file: string, pem: string): string[] {
  const blocks = pem.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g)
  if (blocks === null) throw new BadTlsFile(`${file}: holds no certificate revocation list (PEM)`)
  return blocks
}

function revocationIn(file: string, pem: string): Revocation {
  try {
    return readRevocation(listsIn(file, pem))
  } catch (error) {
    if (error instanceof BadTlsFile) throw error
    throw new BadTlsFile(`${file}: ${reason(error)}`)
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : error.message
}

/** Private keys of certificates: ECDSA P-256, as PKCS #8 in PEM. */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, type webcrypto } from 'node:crypto'
import { promisify } from 'node:util'
import { createFile, readIfThere } from '../process/private-file.ts'
import { BadCertificateFile } from './bad-file.ts'

/** A new key in PEM. */
export async function newKeyPem(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/**
 * Reads a key, or makes one if there is no such file.
 *
 * @throws BadCertificateFile when there is a file that isn't an ECDSA P-256 private key
 */
export async function loadOrCreateKey(file: string): Promise<{ keys: webcrypto.CryptoKeyPair; made: boolean }> {
  const made = (await readIfThere(file)) === null && (await createFile(file, await newKeyPem()))
  const pem = await readIfThere(file)
  const keys = pem === null ? null : keyPairOf(pem)
  if (keys === null) throw new BadCertificateFile(file, 'is not an ECDSA P-256 private key in PEM')
  return { keys, made }
}

/** A key for WebCrypto; null for any text but an ECDSA P-256 private key. */
export function keyPairOf(pem: string): webcrypto.CryptoKeyPair | null {
  const privateKey = parse(pem)
  if (privateKey?.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return null
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  return {
    privateKey: privateKey.toCryptoKey(algorithm, false, ['sign']),
    publicKey: createPublicKey(privateKey).toCryptoKey(algorithm, true, ['verify']),
  }
}

function parse(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem)
  } catch {
    return null
  }
}

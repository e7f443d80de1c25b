/**
 * The keys that permits are signed with: a JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037). The first one signs;
 * those after it are older ones, which are kept as long as something that they signed has to verify.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { z } from 'zod'
import { readTrustedFile, Untrusted } from '../process/file-trust.ts'
import { createFile, readIfThere, replaceFile } from '../process/private-file.ts'
import { BadCertificateFile } from './bad-file.ts'

/** 32 bytes in base64url without padding; the last character holds only four bits of them. */
const octets32 = z.string().regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, { error: 'expected 32 bytes in base64url' })

const privateKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: octets32,
  d: octets32,
  kid: z.string().min(1),
  alg: z.literal('EdDSA'),
  use: z.literal('sig'),
})

const permitKeysSchema = z.object({
  keys: z
    .array(privateKeySchema)
    .min(1, { error: 'holds no key' })
    .refine((keys) => new Set(keys.map(({ kid }) => kid)).size === keys.length, {
      error: 'two keys have the same kid',
    }),
})

/** A private Ed25519 JWK; `d` is the secret. */
export type PrivatePermitKey = z.output<typeof privateKeySchema>
/** Its public half. */
export type PublicPermitKey = Omit<PrivatePermitKey, 'd'>
/** A set of private keys, the signing one first; at least one. */
export interface PermitKeys {
  keys: PrivatePermitKey[]
}

/** A new key. Its kid is its thumbprint. */
export async function generatePermitKey(): Promise<PrivatePermitKey> {
  const { privateKey } = await promisify(generateKeyPair)('ed25519')
  const { x, d } = privateKey.export({ format: 'jwk' })
  if (x === undefined || d === undefined) throw new Error('the new Ed25519 key lacks a part')
  return { kty: 'OKP', crv: 'Ed25519', x, d, kid: thumbprint(x), alg: 'EdDSA', use: 'sig' }
}

/** The public part, in the same order. */
export function publicKeys({ keys }: PermitKeys): { keys: PublicPermitKey[] } {
  return { keys: keys.map(({ kty, crv, x, kid, alg, use }) => ({ kty, crv, x, kid, alg, use })) }
}

/**
 * The SHA-256 thumbprint of an Ed25519 key in base64url (RFC 7638, with the members of RFC 8037 section 2).
 *
 * @param x the public key in base64url
 */
export function thumbprint(x: string): string {
  // RFC 7638 requires the members in lexicographic order, without whitespace.
  return createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url')
}

/**
 * Reads a set of private keys.
 *
 * @throws BadCertificateFile when it can't be read, or is not a set of private Ed25519 keys
 */
export async function readPermitKeys(file: string): Promise<PermitKeys> {
  let text: string
  try {
    text = await readTrustedFile(file)
  } catch (error) {
    if (error instanceof Untrusted) throw new BadCertificateFile(file, error.reason)
    throw new BadCertificateFile(file, `can't be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`)
  }
  const parsed = permitKeysSchema.safeParse(parseJson(file, text))
  if (!parsed.success) throw notPermitKeys(file, parsed.error.issues.map(issueText).join('; '))
  for (const [index, key] of parsed.data.keys.entries()) {
    if (publicHalf(key) !== key.x) throw notPermitKeys(file, `keys[${index}]: x is not the public half of d`)
  }
  return parsed.data
}

/**
 * Reads a set of private keys, or makes one with a new key if there is no such file.
 *
 * @throws BadCertificateFile as {@link readPermitKeys} does
 */
export async function loadOrCreatePermitKeys(file: string): Promise<{ set: PermitKeys; made: boolean }> {
  const made =
    (await readIfThere(file)) === null && (await createFile(file, textOf({ keys: [await generatePermitKey()] })))
  return { set: await readPermitKeys(file), made }
}

/**
 * Puts a new key before those of a set: it signs from now on, and what the older ones signed still verifies.
 *
 * @throws BadCertificateFile as {@link readPermitKeys} does
 */
export async function rotate(file: string): Promise<PermitKeys> {
  const { keys } = await readPermitKeys(file)
  const set = { keys: [await generatePermitKey(), ...keys] }
  await replaceFile(file, textOf(set))
  return set
}

function textOf(set: PermitKeys): string {
  return `${JSON.stringify(set, null, 2)}\n`
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, secrets and all.
    throw notPermitKeys(file, 'it is not JSON')
  }
}

/** The public key that belongs to `d`. */
function publicHalf(key: PrivatePermitKey): string | undefined {
  // Node takes the JWK's x on trust, so it is given the bare private key: PKCS #8 by RFC 8410 section 7.
  const der = Buffer.concat([PKCS8_ED25519, Buffer.from(key.d, 'base64url')])
  return createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' }).x
}

/** The bytes before the 32 bytes of an Ed25519 private key in PKCS #8. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

function issueText({ path, message }: z.core.$ZodIssue): string {
  const where = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return where === '' ? message : `${where.slice(1)}: ${message}`
}

function notPermitKeys(file: string, why: string): BadCertificateFile {
  return new BadCertificateFile(file, `is not a set of private Ed25519 keys: ${why}`)
}

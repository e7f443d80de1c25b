/** Signs permits with the coordinator's key, and publishes the keys that check them. */
import { importJWK, SignJWT } from 'jose'
import { messageOf } from '../../shared/log.ts'
import { PERMIT_ALGORITHM, PERMIT_TYPE, type Permit, type PublicKey, privateKeySetSchema } from '../../shared/permit.ts'

/** Signs permits; `problem` says why it can't. */
export type Signer =
  | { problem: null; keys: readonly PublicKey[]; sign: (permit: Permit) => Promise<string> }
  | { problem: string; keys: readonly PublicKey[] }

let last: { text: string | undefined; signer: Promise<Signer> } | undefined

/**
 * The signer of a set of private keys, made once for a text.
 *
 * @param text a JSON Web Key Set of private Ed25519 keys; its first key signs
 */
export function signerOf(text: string | undefined): Promise<Signer> {
  if (last === undefined || last.text !== text) last = { text, signer: makeSigner(text) }
  return last.signer
}

async function makeSigner(text: string | undefined): Promise<Signer> {
  if (text === undefined || text === '') return { problem: 'there is no key to sign permits with', keys: [] }
  try {
    const { keys } = privateKeySetSchema.parse(JSON.parse(text))
    const [first] = keys
    if (first === undefined) return { problem: 'there is no key to sign permits with', keys: [] }
    const key = await importJWK(first, PERMIT_ALGORITHM)
    const header = { alg: PERMIT_ALGORITHM, typ: PERMIT_TYPE, kid: first.kid }
    return {
      problem: null,
      keys: keys.map(({ kty, crv, kid, x }) => ({ kty, crv, kid, x })),
      sign: (permit) => new SignJWT({ ...permit }).setProtectedHeader(header).sign(key),
    }
  } catch (error) {
    // A parser's message may quote what it read, and that is a secret.
    const why = error instanceof SyntaxError ? 'not JSON' : error instanceof Error ? error.name : messageOf(error)
    return { problem: `the keys that sign permits can't be read: ${why}`, keys: [] }
  }
}

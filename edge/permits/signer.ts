/** Signs permits and memos with the coordinator's key, and publishes the keys that check them. */
import { compactVerify, importJWK, SignJWT } from 'jose'
import { messageOf } from '../../shared/log.ts'
import { PERMIT_ALGORITHM, PERMIT_TYPE, type Permit, type PublicKey, privateKeySetSchema } from '../../shared/permit.ts'
import { MEMO_TYPE, type Memo, memoSchema } from './memo.ts'

/** Signs; `problem` says why it can't. */
export type Signer = ReadySigner | { problem: string; keys: readonly PublicKey[] }

/** One that has a key. */
export interface ReadySigner {
  problem: null
  keys: readonly PublicKey[]
  sign(permit: Permit): Promise<string>
  signMemo(memo: Memo): Promise<string>
  /** What a memo says that one of the keys has signed; null for any other. */
  readMemo(token: string): Promise<Memo | null>
}

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
    const published = keys.map(({ kty, crv, kid, x }) => ({ kty, crv, kid, x }))
    const sign = (typ: string, claims: object): Promise<string> =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: PERMIT_ALGORITHM, typ, kid: first.kid }).sign(key)
    return {
      problem: null,
      keys: published,
      sign: (permit) => sign(PERMIT_TYPE, permit),
      signMemo: (memo) => sign(MEMO_TYPE, memo),
      readMemo: (token) => readMemo(token, published),
    }
  } catch (error) {
    // A parser's message may quote what it read, and that is a secret.
    const why = error instanceof SyntaxError ? 'not JSON' : error instanceof Error ? error.name : messageOf(error)
    return { problem: `the keys that sign permits can't be read: ${why}`, keys: [] }
  }
}

async function readMemo(token: string, keys: readonly PublicKey[]): Promise<Memo | null> {
  try {
    const { payload, protectedHeader } = await compactVerify(
      token,
      async ({ kid }) => importJWK(keys.find((key) => key.kid === kid) ?? {}, PERMIT_ALGORITHM),
      { algorithms: [PERMIT_ALGORITHM] },
    )
    if (protectedHeader.typ !== MEMO_TYPE) return null
    return memoSchema.parse(JSON.parse(new TextDecoder().decode(payload)))
  } catch {
    // Anybody can start an execution with any memo.
    return null
  }
}

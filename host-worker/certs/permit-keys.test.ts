import { createPublicKey, sign, verify } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BadCertificateFile } from './bad-file.ts'
import {
  generatePermitKey,
  loadOrCreatePermitKeys,
  type PrivatePermitKey,
  publicKeys,
  readPermitKeys,
  rotate,
  thumbprint,
} from './permit-keys.ts'

/** RFC 8037, appendix A. */
const RFC_KEY: PrivatePermitKey = {
  kty: 'OKP',
  crv: 'Ed25519',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
  alg: 'EdDSA',
  use: 'sig',
}

let directory: string
let file: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-permit-keys-'))
  file = join(directory, 'deep/permit-keys.json')
})
afterEach(() => rm(directory, { recursive: true }))

describe('permit key', () => {
  it('thumbprint → as in the example of RFC 8037', async () => {
    expect(thumbprint(RFC_KEY.x)).toBe(RFC_KEY.kid)
    const key = await generatePermitKey()
    expect(key).toMatchObject({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: thumbprint(key.x) })
  })

  it('signature → verified by the public half', async () => {
    const key = await generatePermitKey()
    const [open] = publicKeys({ keys: [key] }).keys
    expect(open).not.toHaveProperty('d')
    const text = Buffer.from('a permit')
    const signature = sign(null, text, { key: { ...key }, format: 'jwk' })
    expect(verify(null, text, createPublicKey({ key: { ...open }, format: 'jwk' }), signature)).toBe(true)
  })
})

describe('permit key set', () => {
  it('missing → made once, readable by the owner only', async () => {
    const { set, made } = await loadOrCreatePermitKeys(file)
    expect(made).toBe(true)
    expect(set.keys).toHaveLength(1)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(join(directory, 'deep'))).mode & 0o777).toBe(0o700)
    expect(await loadOrCreatePermitKeys(file)).toEqual({ set, made: false })
    expect(await readPermitKeys(file)).toEqual(set)
  })

  it('made by several at once → the same for all', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => loadOrCreatePermitKeys(file)))
    expect(results.filter(({ made }) => made)).toHaveLength(1)
    expect(new Set(results.map(({ set }) => set.keys[0]?.kid)).size).toBe(1)
    expect(await readdir(join(directory, 'deep'))).toEqual(['permit-keys.json'])
  })

  it('rotated → newest first, others kept', async () => {
    const { set } = await loadOrCreatePermitKeys(file)
    const second = await rotate(file)
    const third = await rotate(file)
    expect(second.keys.slice(1)).toEqual(set.keys)
    expect(third.keys.slice(1)).toEqual(second.keys)
    expect(new Set(third.keys.map(({ kid }) => kid)).size).toBe(3)
    expect(await readPermitKeys(file)).toEqual(third)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })
})

describe('invalid permit key files', () => {
  const said = async (text: string): Promise<string> => {
    const path = join(directory, 'keys.json')
    await writeFile(path, text)
    const error: unknown = await readPermitKeys(path).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(BadCertificateFile)
    const { message } = error as BadCertificateFile
    expect(message).toMatch(/keys\.json is not a set of private Ed25519 keys: /)
    return message
  }
  const { d: _, ...open } = RFC_KEY

  it.each<[string, unknown, string]>([
    ['one key instead of a set', RFC_KEY, 'keys: '],
    ['no key', { keys: [] }, 'keys: holds no key'],
    ['a public key', { keys: [open] }, 'keys[0].d: '],
    ['another curve', { keys: [RFC_KEY, { ...RFC_KEY, crv: 'Ed448', kid: 'b' }] }, 'keys[1].crv: '],
    ['a key for other things', { keys: [{ ...RFC_KEY, use: 'enc' }] }, 'keys[0].use: '],
    ['a key without a name', { keys: [{ ...RFC_KEY, kid: '' }] }, 'keys[0].kid: '],
    ['two keys of one name', { keys: [RFC_KEY, RFC_KEY] }, 'two keys have the same kid'],
    ['a short key', { keys: [{ ...RFC_KEY, d: RFC_KEY.d.slice(1) }] }, 'keys[0].d: expected 32 bytes in base64url'],
    ['halves of two keys', { keys: [{ ...RFC_KEY, x: RFC_KEY.d }] }, 'keys[0]: x is not the public half of d'],
  ])('%s → reason', async (_name, content, message) => {
    const text = await said(JSON.stringify(content))
    expect(text).toContain(message)
    expect(text).not.toContain(RFC_KEY.d)
  })

  it('unparsable → content not quoted', async () => {
    expect(await said(`{"d":"${RFC_KEY.d}`)).toMatch(/it is not JSON$/)
  })

  it('missing → named; invalid → kept', async () => {
    await expect(readPermitKeys(file)).rejects.toThrow(`${file} can't be read: ENOENT`)
    await expect(rotate(file)).rejects.toThrow(BadCertificateFile)
    const path = join(directory, 'keys.json')
    await writeFile(path, '{}')
    await expect(loadOrCreatePermitKeys(path)).rejects.toThrow(BadCertificateFile)
    await expect(rotate(path)).rejects.toThrow(BadCertificateFile)
    expect(await readFile(path, 'utf8')).toBe('{}')
  })
})

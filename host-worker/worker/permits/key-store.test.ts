import { describe, expect, it } from 'vitest'
import { generatePermitKey, publicKeys } from '../../certs/permit-keys.ts'
import { type KeySource, KeysUnavailable, PermitKeyStore } from './key-store.ts'

/** A source that a test changes. */
class Source implements KeySource {
  keys: unknown[] = []
  failing = false
  reads = 0
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  async read(): Promise<unknown> {
    this.reads += 1
    if (this.failing) throw new Error('connection refused')
    return { keys: this.keys }
  }
}

async function key(): Promise<{ kid: string }> {
  const [made] = publicKeys({ keys: [await generatePermitKey()] }).keys
  if (made === undefined) throw new Error('no key')
  return made
}

describe('permit keys', () => {
  it('several coordinators → keys of all', async () => {
    const [own, other] = [new Source('own'), new Source('other')]
    const [first, second] = [await key(), await key()]
    own.keys = [{ kty: 'RSA', kid: 'of another kind' }, first]
    other.keys = [second]
    const store = new PermitKeyStore([own, other])
    expect(await store.find(first.kid)).toMatchObject({ kid: first.kid })
    expect(await store.find(second.kid)).toMatchObject({ kid: second.kid })
    expect(await store.find('of another kind')).toBeNull()
  })

  it('unknown key → asked again, but not for every made-up name', async () => {
    const source = new Source('own')
    source.keys = [await key()]
    const store = new PermitKeyStore([source])
    expect(await store.find('made-up')).toBeNull()
    const names = Array.from({ length: 50 }, (_, index) => store.find(`made-up-${index}`))
    expect(await Promise.all(names)).toEqual(names.map(() => null))
    expect(source.reads).toBe(2)
  })

  it('key made just now → found', async () => {
    const source = new Source('own')
    source.keys = [await key()]
    const store = new PermitKeyStore([source])
    await store.find('made-up')
    const next = await key()
    source.keys = [next, ...source.keys]
    expect(await store.find(next.kid)).toMatchObject({ kid: next.kid })
  })

  it('read in progress may have missed it → asked again', async () => {
    const [own, slow] = [new Source('own'), new Source('slow')]
    let answer = (): void => undefined
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const store = new PermitKeyStore([own, { name: slow.name, read: async () => answered.then(() => slow.read()) }])
    const before = store.find('made-up')
    const next = await key()
    own.keys = [next]
    const found = store.find(next.kid)
    answer()
    expect(await before).toBeNull()
    expect(await found).toMatchObject({ kid: next.kid })
  })

  it('key withdrawn → no longer trusted after the next read', async () => {
    const source = new Source('own')
    const [old, next] = [await key(), await key()]
    source.keys = [next, old]
    const store = new PermitKeyStore([source])
    expect(await store.find(old.kid)).not.toBeNull()
    source.keys = [next]
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await store.find('makes it read')
    expect(await store.find(old.kid)).toBeNull()
  })

  it('coordinator away → keys kept, unknown ones not refused for good', async () => {
    const [own, other] = [new Source('own'), new Source('other')]
    const known = await key()
    own.keys = [known]
    other.failing = true
    const store = new PermitKeyStore([own, other])
    expect(await store.find(known.kid)).not.toBeNull()
    await expect(store.find('unknown')).rejects.toThrow(KeysUnavailable)
    own.failing = true
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await expect(store.find('unknown')).rejects.toThrow('connection refused')
    expect(await store.find(known.kid)).not.toBeNull()
  })
})

import { expect, it } from 'vitest'
import { type ClientOptions, clientsOf, isClientName } from './clients.ts'

const clients = (wanted: Partial<ClientOptions>) =>
  Object.fromEntries(
    clientsOf({ uris: [], named: [], ...wanted }).clients.map(({ name, uri }) => [name, uri.slice('spiffe://'.length)]),
  )

it('clients: no options → an operator of the known trust domain', () => {
  expect(clientsOf({ uris: [], named: [] })).toEqual({
    trustDomain: 'example.org',
    clients: [{ name: 'operator', uri: 'spiffe://example.org/operator' }],
  })
  expect(clients({ trustDomain: 'corp' })).toEqual({ operator: 'corp/operator' })
  expect(clients({ uris: ['webhook:x', 'spiffe://corp/*', 'spiffe://a/b', 'spiffe://c/d'] })).toEqual({
    operator: 'corp/operator',
    b: 'a/b',
    d: 'c/d',
  })
})

it('clients: named → exactly these', () => {
  expect(clients({ named: [{ name: 'web-1' }, { name: 'Operator', uri: 'spiffe://corp/ops' }] })).toEqual({
    'web-1': 'example.org/web-1',
    Operator: 'corp/ops',
  })
  expect(clients({ uris: ['spiffe://a/x'], named: [{ name: 'mine', uri: 'spiffe://a/x' }] })).toEqual({
    mine: 'a/x',
    operator: 'a/operator',
  })
})

it.each<[string, string[], Record<string, string>]>([
  ['the end of a path', ['spiffe://a/x/y'], { y: 'a/x/y' }],
  ['each once', ['spiffe://a/x', 'spiffe://a/x'], { x: 'a/x' }],
  ['more of the path', ['spiffe://a/x/web', 'spiffe://a/y/web'], { 'x-web': 'a/x/web', 'y-web': 'a/y/web' }],
  ['the domain', ['spiffe://a/web', 'spiffe://b/web'], { 'a-web': 'a/web', 'b-web': 'b/web' }],
  ['a domain alone', ['spiffe://a.b'], { 'a.b': 'a.b' }],
  ['not the operator', ['spiffe://a/x/operator'], { 'x-operator': 'a/x/operator' }],
  ['no matter which case', ['spiffe://a/x/Web', 'spiffe://a/web'], { 'x-web': 'a/x/Web', 'a-web': 'a/web' }],
  ["not another's key", ['spiffe://a/web', 'spiffe://a/web-key'], { web: 'a/web', 'client-2': 'a/web-key' }],
  ['numbers at last', ['spiffe://a/b-c', 'spiffe://a/b/c'], { 'b-c-2': 'a/b-c', c: 'a/b/c' }],
])('clients: named by rules → short names that differ: %s', (_, uris, expected) => {
  const { operator: _operator, ...others } = clients({ uris })
  expect(others).toEqual(expected)
})

it('clients: any SPIFFE IDs → a name for each', () => {
  const long = 'x'.repeat(300)
  const uris = [
    'spiffe://a/b-c',
    'spiffe://a-b/c',
    'spiffe://a/b/c',
    'spiffe://a/c',
    `spiffe://a/${long}`,
    'spiffe://a/.x',
  ]
  const found = clientsOf({ uris, named: [] }).clients
  expect(found).toHaveLength(uris.length + 1)
  expect(new Set(found.map(({ name }) => name)).size).toBe(found.length)
  expect(found.every(({ name }) => isClientName(name))).toBe(true)
})

it.each(['', 'a/b', '..', '.a', '-a', 'a-key', 'A-KEY', 'a b', 'ä', 'x'.repeat(101)])('%j is no name', (name) => {
  expect(isClientName(name)).toBe(false)
})

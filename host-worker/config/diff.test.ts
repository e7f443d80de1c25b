import { expect, test } from 'vitest'
import type { ConfigDocument } from '../../shared/config.ts'
import { diffDocuments } from './diff.ts'

const rule = (name: string, method: string) => ({ name, method, route_patterns: ['/*'], allow_public: true })

function documentOf(workflows: ConfigDocument['workflows'], coordinator: object = {}): ConfigDocument {
  return {
    version: 1,
    hash: 'x',
    development: false,
    coordinator: { datacenter: 'dc1', ...coordinator },
    workflows,
  }
}

const changes = (before: ConfigDocument, after: ConfigDocument): string[] =>
  diffDocuments(before, after).map(({ subject, change }) => `${subject}: ${change}`)

const limited = (...constraint: object[]) =>
  ({ task_queue_target: 'node', constraint }) as ConfigDocument['workflows'][string]
const max = (value: number, period: string, more: object = {}) => ({ kind: 'maxExecution', value, period, ...more })

test.each<[string, object[], object[], string[]]>([
  ['same, written otherwise', [max(3, '24h')], [{ kind: 'maxExecution', value: '3', period: '1440m' }], []],
  ['limit', [max(3, '24h')], [max(5, '24h')], ['a: maxExecution 3 → 5 per 24h']],
  ['period', [max(3, '24h')], [max(3, '12h')], ['a: maxExecution 3 per 24h → 3 per 12h']],
  ['added', [], [{ kind: 'concurrency', value: 1 }], ['a: new: concurrency 1']],
  ['removed', [{ kind: 'exclusive' }], [], ['a: removed: exclusive']],
  [
    'one of several',
    [max(3, '24h'), max(1, '1h', { per: 'node' })],
    [max(3, '24h'), max(2, '1h', { per: 'node' })],
    ['a: maxExecution per node 1 → 2 per 1h'],
  ],
  [
    'global',
    [max(3, '24h')],
    [max(3, '24h', { is_global: true })],
    ['a: removed: maxExecution 3 per 24h', 'a: new: maxExecution over all datacenters 3 per 24h'],
  ],
  [
    'percentage',
    [{ kind: 'maxUnavailable', value: '10%' }],
    [{ kind: 'maxUnavailable', value: 2 }],
    ['a: maxUnavailable 10% → 2'],
  ],
])('constraint: %s → %j to %j', (_, before, after, expected) => {
  expect(changes(documentOf({ a: limited(...before) }), documentOf({ a: limited(...after) }))).toEqual(expected)
})

test('workflow added, removed, other keys → said', () => {
  const before = documentOf({ a: limited(), b: { ...limited(), timeout: '1h' } })
  const after = documentOf({ b: { ...limited(), timeout: '2h', mode: 'approve' }, c: limited(max(1, '1h')) })
  expect(changes(before, after)).toEqual([
    'a: removed; what runs of it goes on',
    'b: timeout: "1h" → "2h"',
    'b: mode: new, "approve"',
    'c: new workflow: maxExecution 1 per 1h',
  ])
})

test('coordinator: blocks of a list → told apart by name', () => {
  const server = (...route_rule: object[]) => ({ server_config: { route_rule } })
  const before = documentOf({}, server(rule('one', 'GET'), rule('two', 'GET')))
  const after = documentOf({}, server(rule('three', 'GET'), rule('one', 'POST')))
  expect(changes(before, after)).toEqual([
    'coordinator.hcl: server_config.route_rule."one".method: "GET" → "POST"',
    'coordinator.hcl: server_config.route_rule."two": removed',
    'coordinator.hcl: server_config.route_rule."three": new',
  ])
})

test('nothing → nothing', () => {
  expect(changes(documentOf({ a: limited() }), documentOf({ a: limited() }))).toEqual([])
})

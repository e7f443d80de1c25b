import { expect, test } from 'vitest'
import { canonicalHost } from './hosts.ts'

test.each([
  ['Web.LAN', 'web.lan'],
  ['*.example.org', '*.example.org'],
  ['10.0.0.1', '10.0.0.1'],
  ['0:0::1', '::1'],
  ['2001:DB8::5', '2001:db8::5'],
  ['::ffff:1.2.3.4', '::ffff:102:304'],
])('canonicalHost: %s → %s', (text, expected) => {
  expect(canonicalHost(text)).toBe(expected)
})

test.each([
  '',
  ' ',
  'a b',
  'a,b',
  'https://a',
  'a:80',
  '-a',
  'a-',
  '1.2.3',
  '1.2.3.4.5',
  '256.1.1.1',
  'fe80::1%lo',
  '*',
  'a..b',
])('canonicalHost: %j → not a host', (text) => {
  expect(canonicalHost(text)).toBe(null)
})

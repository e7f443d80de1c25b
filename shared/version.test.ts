import { expect, test } from 'vitest'
import { isOlder } from './version.ts'

test.each<[string | null, string, boolean]>([
  ['0.1.0', '0.1.0', false],
  ['0.1.0', '0.2.0', true],
  ['0.9.0', '0.10.0', true],
  ['1.0.0', '0.9.9', false],
  ['0.2.0', '0.1.9', false],
  ['0.1.0-rc.1', '0.1.0', false],
  [null, '0.1.0', true],
])('%s than %s → %s', (version, than, expected) => {
  expect(isOlder(version, than)).toBe(expected)
})

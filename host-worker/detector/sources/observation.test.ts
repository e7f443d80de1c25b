import { expect, it } from 'vitest'
import { fingerprintOf } from './observation.ts'

it('a fingerprint does not depend on the order of labels', () => {
  expect(fingerprintOf({ a: '1', b: '2' })).toBe(fingerprintOf({ b: '2', a: '1' }))
  expect(fingerprintOf({ a: '1', b: '2' })).not.toBe(fingerprintOf({ a: '12', b: '' }))
})

import { expect, it } from 'vitest'
import { fingerprintOf } from './observation.ts'

it('fingerprint: order of labels → irrelevant', () => {
  expect(fingerprintOf({ a: '1', b: '2' })).toBe(fingerprintOf({ b: '2', a: '1' }))
  expect(fingerprintOf({ a: '1', b: '2' })).not.toBe(fingerprintOf({ a: '12', b: '' }))
})

import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodePayload, encodePayload, firstPayload } from './payload.ts'

property.prop([fc.jsonValue()])('values come back as they went', (value) => {
  expect(JSON.stringify(decodePayload(encodePayload(value)))).toBe(JSON.stringify(value))
})

it('payload: empty arrays → kept', () => {
  expect(decodePayload(encodePayload({ hosts: [] }))).toEqual({ hosts: [] })
})

it('payload: long texts → kept', () => {
  const long = 'ä'.repeat(100_000)
  expect(decodePayload(encodePayload(long))).toBe(long)
})

it('payload: undecodable → shown as it is', () => {
  expect(decodePayload({ metadata: { encoding: btoa('binary/encrypted') }, data: btoa('secret') })).toEqual({
    encoding: 'binary/encrypted',
    bytes: 6,
  })
  expect(decodePayload({ metadata: { encoding: btoa('binary/null') } })).toBeNull()
  expect(firstPayload(undefined)).toBeNull()
})

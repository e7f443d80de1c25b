import { expect, test } from 'vitest'
import { Connections } from './connections.ts'

const limits = { all: 12, handshakes: 3, anonymous: 6, perAddress: 4, perCertificate: 3 }

/** Connections by number, and those that were ended, in their order. */
function listener() {
  const connections = new Connections<number>(limits)
  const ended: number[] = []
  let next = 0
  const accept = (address: string): number => {
    const key = next++
    connections.accept(key, address, () => ended.push(key))
    return key
  }
  const open = (address: string, fingerprint: string | null = null): number => {
    const key = accept(address)
    connections.opened(key, fingerprint)
    return key
  }
  return { connections, ended, accept, open }
}

test('connections: many anonymous of one address → oldest idle one ended', () => {
  const { connections, ended, open } = listener()
  for (let index = 0; index < 4; index += 1) connections.count(open('10.0.0.1'), 1)
  connections.count(1, -1)
  expect(ended).toEqual([])
  open('10.0.0.1')
  expect(ended).toEqual([1])
})

test('connections: anonymous all busy → new one ended', () => {
  const { connections, ended, open } = listener()
  for (let index = 0; index < 4; index += 1) connections.count(open('10.0.0.1'), 1)
  const fifth = open('10.0.0.1')
  expect(ended).toEqual([fifth])
})

test('connections: anonymous from many addresses → verified callers have room', () => {
  const { ended, open } = listener()
  for (let index = 0; index < 20; index += 1) open(`10.0.${index}.1`)
  expect(ended).toHaveLength(14)
  const verified = Array.from({ length: 6 }, (_, index) => open('10.0.0.1', `caller ${index}`))
  expect(ended.some((key) => verified.includes(key))).toBe(false)
  const more = open('10.0.0.1', 'one more')
  expect(ended).toHaveLength(15)
  expect(ended).not.toContain(more)
})

test('connections: unfinished handshakes → oldest ended, whoever comes gets a turn', () => {
  const { connections, ended, accept } = listener()
  for (let index = 0; index < 50; index += 1) accept('10.0.0.1')
  expect(ended).toHaveLength(47)
  const operator = accept('10.0.0.1')
  connections.opened(operator, 'operator')
  for (let index = 0; index < 50; index += 1) accept('10.0.0.1')
  expect(ended).not.toContain(operator)
})

test('connections: one certificate → bounded, its oldest idle one ended', () => {
  const { ended, open } = listener()
  const keys = Array.from({ length: 5 }, () => open('10.0.0.1', 'greedy'))
  expect(ended).toEqual(keys.slice(0, 2))
  open('10.0.0.1', 'other')
  expect(ended).toHaveLength(2)
})

test('connections: closed → room again', () => {
  const { connections, ended, open } = listener()
  for (let index = 0; index < 4; index += 1) connections.closed(open('10.0.0.1'))
  open('10.0.0.1')
  expect(ended).toEqual([])
})

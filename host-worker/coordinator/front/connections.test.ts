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

test('connections: many certificates fill all → the oldest idle one of who has most makes way', () => {
  const { connections, ended, open } = listener()
  const few = open('10.0.0.1', 'few')
  const many = ['a', 'b', 'c'].flatMap((name) => Array.from({ length: 3 }, () => open('10.0.0.1', name)))
  open('10.0.0.1', 'd')
  open('10.0.0.1', 'd')
  expect(ended).toEqual([])
  const operator = open('10.0.0.2', 'operator')
  expect(ended).toEqual([many[0]])
  for (const key of [few, ...many, operator]) connections.count(key, 1)
  connections.opened(operator, 'operator')
  open('10.0.0.2', 'operator')
  expect(ended).toHaveLength(2)
  expect(ended).not.toContain(operator)
  expect(ended).not.toContain(few)
})

test('connections: anonymous of many networks, all busy → the oldest of the network that has most makes way', () => {
  const { connections, ended, open } = listener()
  const most = Array.from({ length: 3 }, () => open('2001:db8:1::1'))
  const others = Array.from({ length: 3 }, (_, index) => open(`2001:db8:2:${index}::1`))
  for (const key of [...most, ...others]) connections.count(key, 1)
  const newest = open('192.0.2.1')
  expect(ended).toEqual([most[0]])
  expect(ended).not.toContain(newest)
})

test('connections: all busy and verified → bare TCP connections end none of them', () => {
  const { connections, ended, open, accept } = listener()
  const verified = Array.from({ length: 11 }, (_, index) => open('10.0.0.1', `caller ${index}`))
  for (const key of verified) connections.count(key, 1)
  for (let index = 0; index < 9; index += 1) accept(`10.1.${index}.1`)
  expect(ended.filter((key) => verified.includes(key))).toEqual([])
  expect(ended).toHaveLength(8)
  const operator = accept('10.2.0.1')
  connections.opened(operator, 'operator')
  expect(ended).not.toContain(operator)
})

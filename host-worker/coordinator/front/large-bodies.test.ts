import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { LargeBodies } from './large-bodies.ts'

const request = (socket = new Socket()) => {
  const incoming = new IncomingMessage(socket)
  return [incoming, new ServerResponse(incoming)] as const
}

test('large bodies: unverified callers → bounded number, freed when answered', () => {
  const bodies = new LargeBodies()
  const held = Array.from({ length: 16 }, () => request())
  expect(held.map((one) => bodies.enter(...one))).not.toContain(false)
  expect(bodies.enter(...request())).toBe(false)
  held[0]?.[1].emit('close')
  expect(bodies.enter(...request())).toBe(true)
  expect(bodies.enter(...request())).toBe(false)
})

test('large bodies: verified caller → always; unverified certificate → not', () => {
  const bodies = new LargeBodies()
  for (let index = 0; index < 16; index += 1) bodies.enter(...request())
  const socket = new TLSSocket(new Socket())
  expect(bodies.enter(...request(socket))).toBe(false)
  socket.authorized = true
  expect(bodies.enter(...request(socket))).toBe(true)
})

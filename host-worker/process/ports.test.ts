import { createServer } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { choosePort, choosePorts } from './ports.ts'

const host = '127.0.0.1'

async function takenPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  onTestFinished(() => {
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

test('ports: preferred one free → chosen', async () => {
  const free = await choosePort(0, host)
  expect(await choosePort(free, host)).toBe(free)
})

test('ports: preferred one taken → another', async () => {
  const taken = await takenPort()
  const chosen = await choosePort(taken, host)
  expect(chosen).not.toBe(taken)
  expect(chosen).toBeGreaterThan(0)
})

test('ports: several at once → all different', async () => {
  const free = await choosePort(0, host)
  const chosen = await choosePorts([free, free, 0, 0, 0], host)
  expect(chosen[0]).toBe(free)
  expect(new Set(chosen).size).toBe(5)
})

test('ports: foreign host → error', async () => {
  await expect(choosePort(0, '192.0.2.1')).rejects.toThrow(/EADDRNOTAVAIL/)
})

test('ports: range for tests → chosen from it, without taken ones', async () => {
  const taken = await takenPort()
  vi.stubEnv('RESILE_PORTS', `${taken}-${taken + 30}`)
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  // One after the other, too: nobody listens on the first yet.
  const chosen = [await choosePort(0, host), ...(await choosePorts([0, 0], host))]
  expect(new Set(chosen).size).toBe(3)
  for (const port of chosen) {
    expect(port).toBeGreaterThan(taken)
    expect(port).toBeLessThanOrEqual(taken + 30)
  }
})

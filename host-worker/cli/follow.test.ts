import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, vi } from 'vitest'
import type { Execution } from '../../shared/wire.ts'
import { followExecution } from './follow.ts'

const EXECUTION = {
  id: '019a0000-0000-7000-8000-000000000001',
  workflow: 'w',
  target: {},
  status: 'running',
  error: null,
  admitted_at: '2026-01-01T00:00:00.000Z',
  started_at: null,
}

it('--wait: coordinator starting → waits; invalid question → error', async () => {
  const answers: [number, unknown][] = [
    [503, { code: 'starting', detail: 'not yet' }],
    [200, EXECUTION],
    [502, 'a proxy without its coordinator'],
    [404, { code: 'not_found', detail: 'no such execution' }],
  ]
  const coordinator = createServer((_, response) => {
    const [status, body] = answers.shift() ?? [500, {}]
    response.writeHead(status).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => coordinator.listen(0, '127.0.0.1', resolve))
  const said: string[] = []
  const waiting = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said.push(String(text))
    return true
  })
  try {
    const { port } = coordinator.address() as AddressInfo
    const options = { coordinator: `http://127.0.0.1:${port}`, project: '.', json: false }
    expect((await followExecution(options, EXECUTION as unknown as Execution)).status).toBe(404)
    expect(answers).toEqual([])
    expect(said.filter((line) => line.includes('does not answer'))).toHaveLength(1)
    expect(waiting).toHaveBeenCalledExactlyOnceWith('waiting for the coordinator, which is starting: not yet')
  } finally {
    vi.restoreAllMocks()
    coordinator.closeAllConnections()
    coordinator.close()
  }
})

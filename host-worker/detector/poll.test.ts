import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { detectorsSchema } from '../../shared/config.ts'
import { CoordinatorClient } from '../net/coordinator-client.ts'
import { DetectorMetrics } from './metrics.ts'
import { type DetectorContext, Watch } from './poll.ts'
import * as sources from './sources/create-source.ts'
import type { Firing, Observation } from './sources/observation.ts'
import { DetectorStore } from './store.ts'

const FIRING: Firing = { fingerprint: 'f', labels: { node: 'web-1' }, annotations: {}, value: '1', summary: 'sick' }
const SICK: Observation = { firing: [FIRING] }

interface Trigger {
  key: string
  body: { reason: string; target: { node: string } }
}

let coordinator: Server
let received: Trigger[]
/** What the coordinator answers; null: nothing. */
let answer: { status: number; headers?: Record<string, string>; body?: unknown } | null
/** Requests whose sender did not wait for the answer. */
let hungUp: number
let observation: Observation
let around: DetectorContext
let directory: string

beforeEach(async () => {
  received = []
  hungUp = 0
  answer = { status: 201, body: { execution: { id: '019a0000-0000-7000-8000-000000000001' } } }
  observation = SICK
  coordinator = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    response.on('close', () => {
      if (!response.writableEnded) hungUp += 1
    })
    request.on('end', () => {
      received.push({ key: String(request.headers['idempotency-key']), body: JSON.parse(text) as Trigger['body'] })
      if (answer !== null) response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body ?? {}))
    })
  })
  await new Promise<void>((resolve) => coordinator.listen(0, '127.0.0.1', resolve))
  directory = await mkdtemp(join(tmpdir(), 'resile-watch-'))
  vi.spyOn(sources, 'createSource').mockImplementation(() => ({ observe: async () => observation }))
  around = surroundings()
})
afterEach(async () => {
  vi.restoreAllMocks()
  around.store.close()
  around.client.close()
  coordinator.closeAllConnections()
  coordinator.close()
  await rm(directory, { recursive: true })
})

function surroundings(): DetectorContext {
  const { port } = coordinator.address() as AddressInfo
  return {
    client: new CoordinatorClient({ url: `http://127.0.0.1:${port}` }),
    store: new DetectorStore(join(directory, 'state.sqlite')),
    metrics: new DetectorMetrics(['d']),
    directory,
    signal: new AbortController().signal,
  }
}

function watch(more: Record<string, unknown> = {}): Watch {
  const block = {
    workflow: 'w',
    interval: '100ms',
    target: { node: '${labels.node}' },
    http_check: { url: 'http://x/' },
  }
  const { detector } = detectorsSchema.parse({ detector: { d: { ...block, ...more } } })
  if (detector.d === undefined) throw new Error('there is one')
  return new Watch('d', detector.d, around)
}

/** Has time pass; a clock that is set goes otherwise. */
function pass(ms: number, clock = ms): void {
  const [now, elapsed] = [Date.now() + clock, performance.now() + ms]
  vi.spyOn(Date, 'now').mockImplementation(() => now)
  vi.spyOn(performance, 'now').mockImplementation(() => elapsed)
}

describe('episode', () => {
  it('process dies before the answer → one trigger', async () => {
    const ADMITTED = answer
    answer = null
    await watch().poll()
    await vi.waitFor(() => expect(received).toHaveLength(1))
    // Another process, which finds what the first one had written before it sent anything.
    around.store.close()
    around = surroundings()
    answer = ADMITTED
    const second = watch()
    await second.poll()
    await second.close()
    await second.poll()
    expect(received.map(({ key }) => key)).toEqual([received[0]?.key, received[0]?.key])
  })

  it('slow answer → other polls continue', async () => {
    answer = null
    const waiting = watch()
    await waiting.poll()
    await vi.waitFor(() => expect(received).toHaveLength(1))
    expect(await waiting.poll()).toBe(true)
    await sleep(100)
    expect(received).toHaveLength(1)
    observation = { firing: [] }
    await waiting.poll()
    // Nobody wants it any more.
    await vi.waitFor(() => expect(hungUp).toBe(1), { timeout: 10_000 })
    await waiting.close()
    observation = SICK
    answer = { status: 201, body: { execution: { id: 'x' } } }
    await waiting.poll()
    await waiting.close()
    const [first, second] = received
    expect(received).toHaveLength(2)
    expect(first?.key).not.toBe(second?.key)
  })

  it('sent again → same body', async () => {
    answer = { status: 503, headers: { 'retry-after': '0' } }
    const denied = watch()
    await denied.poll()
    await denied.close()
    pass(60_000)
    observation = { firing: [{ ...FIRING, value: '2', summary: 'sicker' }] }
    await denied.poll()
    await denied.close()
    expect(received.map(({ body }) => body.reason)).toEqual(['sick', 'sick'])
    expect(received[0]?.key).toBe(received[1]?.key)
  })
})

it('label missing → no trigger', async () => {
  observation = { firing: [{ ...FIRING, labels: {} }] }
  const mapping = watch()
  await mapping.poll()
  await mapping.close()
  expect(received).toEqual([])
})

it('reported → as it changes, with its executions', async () => {
  const reporting = watch()
  await reporting.poll()
  await reporting.close()
  expect(around.store.reports(10).map(({ episode }) => episode)).toMatchObject([
    { source: 'http_check', name: 'd', workflow: 'w', admitted: 1, ended: null, executions: [expect.any(String)] },
  ])
  observation = { firing: [] }
  await reporting.poll()
  expect(around.store.reports(10).map(({ episode }) => episode)).toMatchObject([
    { admitted: 1, ended: expect.any(String) },
  ])
})

it('key used with another body → admitted, nothing more sent', async () => {
  answer = { status: 409, body: { code: 'idempotency_conflict' } }
  const changed = watch()
  await changed.poll()
  await changed.close()
  pass(600_000)
  await changed.poll()
  await changed.close()
  expect(received).toHaveLength(1)
})

describe("state that can't be written", () => {
  it('due trigger → not sent', async () => {
    const disk = new DatabaseSync(join(directory, 'state.sqlite'))
    disk.exec("CREATE TRIGGER full BEFORE INSERT ON episodes BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    const held = watch({ limit: { triggers: 1, per: '1h' } })
    for (let poll = 0; poll < 3; poll += 1) await held.poll()
    await held.close()
    expect(received).toEqual([])
    disk.exec('DROP TRIGGER full')
    disk.close()
    await held.poll()
    await held.close()
    expect(received).toHaveLength(1)
  })
})

describe('clock set', () => {
  it.each([3_600_000, -3_600_000])('by %i ms → `for` and `clear_for` unaffected', async (step) => {
    const patient = watch({ for: '10s', clear_for: '10s' })
    await patient.poll()
    pass(1000, 1000 + step)
    await patient.poll()
    await patient.close()
    expect(received).toHaveLength(0)
    pass(9000)
    await patient.poll()
    await patient.close()
    expect(received).toHaveLength(1)
    observation = { firing: [] }
    await patient.poll()
    pass(1000, 1000 + step)
    await patient.poll()
    observation = SICK
    await patient.poll()
    await patient.close()
    expect(received).toHaveLength(1)
  })

  it('trigger sent before → not sent again early', async () => {
    const repeating = watch({ repeat_after: '1h' })
    await repeating.poll()
    await repeating.close()
    pass(1000, 3_600_000)
    await repeating.poll()
    await repeating.close()
    expect(received).toHaveLength(1)
    pass(3_600_000)
    await repeating.poll()
    await repeating.close()
    expect(received).toHaveLength(2)
  })

  it('Retry-After and limit → kept', async () => {
    answer = { status: 429, headers: { 'retry-after': '60' } }
    const denied = watch({ limit: { triggers: 1, per: '1h' } })
    await denied.poll()
    await denied.close()
    pass(1000, 3_600_000)
    observation = { firing: [FIRING, { ...FIRING, fingerprint: 'g' }] }
    await denied.poll()
    await denied.close()
    expect(received).toHaveLength(1)
    pass(60_000)
    await denied.poll()
    await denied.close()
    expect(received).toHaveLength(2)
  })
})

describe('source', () => {
  it('throws → unknown', async () => {
    const looking = watch()
    vi.mocked(sources.createSource).mockReset()
    vi.spyOn(sources, 'createSource').mockImplementation(() => ({
      observe: async () => {
        throw new Error('a fault')
      },
    }))
    const faulty = watch()
    expect(await faulty.poll()).toBe(false)
    expect(await looking.poll()).toBe(true)
    await looking.close()
  })

  it('invalid state → daemon continues', async () => {
    vi.spyOn(sources, 'createSource').mockImplementation(() => ({
      observe: async () => SICK,
      state: () => {
        throw new Error('a fault')
      },
    }))
    expect(await watch().poll()).toBe(false)
    expect(received).toEqual([])
  })

  it('hangs → unknown, not polled twice at once', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      let end: (seen: Observation) => void = () => undefined
      let asked = 0
      vi.spyOn(sources, 'createSource').mockImplementation(() => ({
        observe: () => {
          asked += 1
          return new Promise((resolve) => {
            end = resolve
          })
        },
      }))
      const hanging = watch()
      const first = hanging.poll()
      await vi.advanceTimersByTimeAsync(120_000)
      expect(await first).toBe(false)
      expect(await hanging.poll()).toBe(false)
      expect(asked).toBe(1)
      // What it says so late is of long ago.
      end(SICK)
      await vi.advanceTimersByTimeAsync(0)
      const third = hanging.poll()
      end({ firing: [] })
      expect(await third).toBe(true)
      expect(asked).toBe(2)
    } finally {
      vi.useRealTimers()
    }
    expect(received).toEqual([])
  })
})

it("trigger: a proxy's page → not an admission", async () => {
  answer = { status: 200, body: 'welcome' }
  const proxied = watch()
  await proxied.poll()
  await proxied.close()
  answer = { status: 201, body: { execution: { id: 'x' } } }
  pass(60_000)
  await proxied.poll()
  await proxied.close()
  expect(received.map(({ key }) => key)).toEqual([received[0]?.key, received[0]?.key])
})

it('trigger: endless Retry-After → bounded', async () => {
  answer = { status: 429, headers: { 'retry-after': '9'.repeat(400) } }
  const denied = watch()
  await denied.poll()
  await denied.close()
  const [episode] = around.store.load('d', 100, Date.now()).episodes.values()
  expect(episode?.notBefore).toBeLessThan(Date.now() + 32 * 24 * 3_600_000)
  expect(episode?.notBefore).toBeGreaterThan(Date.now() + 30 * 24 * 3_600_000)
})

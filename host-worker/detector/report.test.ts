import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { BODY_LIMIT } from '../../shared/body-limit.ts'
import { type SignalEpisode, signalReportSchema } from '../../shared/wire.ts'
import { CoordinatorClient } from '../net/coordinator-client.ts'
import { DetectorMetrics } from './metrics.ts'
import type { DetectorContext } from './poll.ts'
import { reportOnce } from './report.ts'
import { DetectorStore } from './store.ts'

let directory: string
let coordinator: Server
let around: DetectorContext
let requests: number
let taken: SignalEpisode[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-report-'))
  requests = 0
  taken = []
  coordinator = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    request.on('end', () => {
      requests += 1
      const { data } = signalReportSchema.safeParse(JSON.parse(text))
      const status = text.length > BODY_LIMIT ? 413 : data === undefined ? 400 : 204
      if (status === 204) taken.push(...(data?.episodes ?? []))
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => coordinator.listen(0, '127.0.0.1', resolve))
  around = {
    client: new CoordinatorClient({ url: `http://127.0.0.1:${(coordinator.address() as AddressInfo).port}` }),
    store: new DetectorStore(join(directory, 'state.sqlite')),
    metrics: new DetectorMetrics([]),
    directory,
    signal: new AbortController().signal,
  }
})
afterEach(async () => {
  around.store.close()
  around.client.close()
  coordinator.closeAllConnections()
  coordinator.close()
  await rm(directory, { recursive: true })
})

function keep(episodes: readonly SignalEpisode[]): void {
  around.store.save('d', { episodes: new Map(), limited: [], source: null }, 0, episodes)
}

function episode(index: number, code: string | null = null): SignalEpisode {
  return {
    source: 'prometheus',
    name: 'd'.repeat(63),
    workflow: 'w'.repeat(63),
    fingerprint: `${'f'.repeat(250)}${index}`,
    began: '2026-01-01T00:00:00.000Z',
    ended: null,
    admitted: 10,
    denied: 0,
    code,
    executions: Array.from({ length: 10 }, () => '019a0000-0000-7000-8000-000000000001'),
  }
}

it('reports: many episodes → fit into requests', async () => {
  keep(Array.from({ length: 250 }, (_, index) => episode(index)))
  expect(await reportOnce(around)).toBeNull()
  expect(taken).toHaveLength(250)
  expect(around.store.reports(1)).toEqual([])
  expect(requests).toBeLessThanOrEqual(11)
})

it('reports: one refused → others sent', async () => {
  keep(Array.from({ length: 60 }, (_, index) => episode(index, index % 20 === 3 ? 'x'.repeat(65) : null)))
  expect(await reportOnce(around)).toBeNull()
  expect(taken).toHaveLength(57)
  expect(around.store.reports(1)).toEqual([])
})

it('reports: not deletable → not sent without end', async () => {
  keep(Array.from({ length: 60 }, (_, index) => episode(index)))
  const disk = new DatabaseSync(join(directory, 'state.sqlite'))
  disk.exec("CREATE TRIGGER full BEFORE DELETE ON reports BEGIN SELECT RAISE(ABORT, 'disk full'); END")
  disk.close()
  expect(await reportOnce(around)).toContain('can not be deleted')
  expect(requests).toBe(1)
})

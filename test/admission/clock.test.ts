/** A Temporal with a different clock, and one that stops for a minute, behind a proxy that can shift its dates. */
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { admitted, type Decision, type List, problem, type Started } from '../support/http.ts'
import { listen } from '../support/http-server.ts'
import { anywhere, atOnce, limited, long, patient, usesOf } from '../support/limits.ts'
import { soaking } from '../support/soak.ts'
import { TemporalServer } from '../support/temporal-server.ts'
import { stays, until } from '../support/until.ts'

/** A proxy to Temporal that changes the `Date` of its answers. */
class Clock {
  shiftMs = 0
  /** Whether it drops starts. */
  losesStarts = false
  url = ''
}

async function layClock(temporalUrl: string): Promise<Clock> {
  const clock = new Clock()
  const port = await listen((incoming, response) => {
    const pass = async () => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      const { method = 'GET', url = '/' } = incoming
      if (clock.losesStarts && method === 'POST') return response.destroy()
      const answer = await fetch(temporalUrl + url, {
        method,
        headers: { accept: incoming.headers.accept ?? '*/*', 'content-type': 'application/json' },
        ...(method === 'GET' ? {} : { body: Buffer.concat(chunks) }),
      })
      const body = Buffer.from(await answer.arrayBuffer())
      const date = new Date(Date.now() + clock.shiftMs).toUTCString()
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '', date }).end(body)
    }
    pass().catch(() => response.destroy())
  })
  clock.url = `http://127.0.0.1:${port}`
  return clock
}

const project = writeProject({
  ...napping('nap', anywhere),
  ...napping('skewed', `${anywhere}\n${limited('maxExecution', 'value = 5; period = "1h"')}`),
  ...napping('pending', anywhere),
  ...napping('stopped', anywhere),
})

let temporal: TemporalServer
let clock: Clock
let dev: Dev
beforeAll(async () => {
  temporal = await TemporalServer.start()
  clock = await layClock(temporal.httpUrl)
  const flags = ['--temporal-address', temporal.address, '--temporal-http', clock.url]
  dev = await startDev({ project, nodes: ['web-1'], flags })
})

/** Starts until the answer is this one; the coordinator learns the time with the answers that it gets. */
const answered = async (name: string, status: number, headers = patient) =>
  until(
    `a start of ${name} is answered ${status}`,
    async () => {
      const answer = await dev.start(name, {}, headers)
      return answer.status === status && answer
    },
    { within: 60_000, every: 500 },
  )

describe.each([60_000, -60_000])("clock %i ms away from Temporal's", (shiftMs) => {
  test('start → 503 clock_skew until they agree, nothing counted', async () => {
    await answered('nap', 201)
    clock.shiftMs = shiftMs
    const answer = await answered('nap', 503)
    problem(answer, 503, 'clock_skew')
    expect(answer.headers.get('retry-after')).toBe('5')
    const before = (await usesOf(dev, 'skewed')).map(({ used }) => used)
    const started = (await dev.temporal.list('skewed')).length
    for (let count = 0; count < 3; count += 1) problem(await dev.start('skewed', {}, patient), 503, 'clock_skew')
    expect((await usesOf(dev, 'skewed')).map(({ used }) => used)).toEqual(before)
    expect(await dev.temporal.list('skewed')).toHaveLength(started)
    // It still answers reads.
    expect((await dev.call('/v1/executions')).status).toBe(200)
    clock.shiftMs = 0
    admitted(await answered('skewed', 201))
  })
})

/** The execution that was pending while the clocks disagreed. */
let pending: string

test('outbox: clocks disagree → pending starts are not sent', async () => {
  clock.losesStarts = true
  const { execution } = admitted(await dev.start('pending', long, atOnce), 202)
  clock.shiftMs = 60_000
  problem(await answered('nap', 503, atOnce), 503, 'clock_skew')
  clock.losesStarts = false
  const waits = async () => (await dev.execution(execution.id)).status === 'pending'
  await stays('it is pending', async () => (await waits()) && (await dev.temporal.list('pending')).length === 0, 8_000)
  clock.shiftMs = 0
  pending = execution.id
})

test('start: clock 5 s away → admitted', async () => {
  clock.shiftMs = 5_000
  // The coordinator has yet to learn that they agree again.
  await answered('nap', 201)
  for (let count = 0; count < 3; count += 1) expect((await dev.start('nap', {}, patient)).status).toBe(201)
  clock.shiftMs = 0
})

/** How long Temporal is stopped, in milliseconds. */
const STALL = soaking(60_000, 20_000)

test('outbox: 100 triggers while Temporal stands still → each runs exactly once or has expired', async () => {
  const stoppedAt = Date.now()
  temporal.signal('SIGSTOP')
  const asked: Promise<Started>[] = []
  try {
    for (let index = 0; index < 100; index += 1) {
      // Some have a valid_for shorter than the outage, some one that is just longer.
      const seconds = [STALL / 6_000, STALL / 1_200][index % 4]
      const validFor = seconds === undefined ? {} : { valid_for: `${Math.ceil(seconds)}s` }
      const answer = dev.start('stopped', { ...long, ...validFor }, index % 2 === 0 ? atOnce : {})
      asked.push(answer.then((found) => admitted(found, 202)))
      await delay(STALL / 150)
    }
    await Promise.all(asked)
    await delay(Math.max(0, stoppedAt + STALL - Date.now()))
  } finally {
    temporal.signal('SIGCONT')
  }
  await temporal.api.isBack()
  const started = await Promise.all(asked)
  /** An execution whose state in Temporal is the same. */
  const decided = async ({ execution: { id } }: Started) => {
    const execution = await dev.execution(id)
    const run = await dev.temporal.describe(id)
    const runs = run?.type === 'stopped' && run.status === 'RUNNING'
    if (execution.status === 'running' && runs && run.runId === execution.run_id) return execution
    return execution.status === 'expired' && !runs && execution
  }
  const listed = async () => (await dev.temporal.list('stopped')).filter(({ status }) => status === 'RUNNING')
  // A start that arrived too late runs for a moment, until its first task finds that out.
  const fates = await until(
    'all are decided, and Temporal lists those that run, once',
    async () => {
      const all = await Promise.all(started.map(decided))
      const running = all.filter((execution) => execution !== false && execution.status === 'running')
      return all.every((execution) => execution !== false) && (await listed()).length === running.length && all
    },
    { within: 120_000, every: 1_000 },
  )
  for (const execution of fates.filter(({ status }) => status === 'expired')) {
    expect(execution).toMatchObject({ result: null, error: expect.anything(), closed_at: expect.any(String) })
  }
  // Only what could not wait is void.
  const patientOnes = fates.filter((_, index) => index % 4 > 1)
  expect(new Set(patientOnes.map(({ status }) => status))).toEqual(new Set(['running']))
  expect(fates.some(({ status }) => status === 'expired')).toBe(true)
  const { body } = await dev.call<List<Decision>>('/v1/decisions?workflow=stopped&limit=500')
  expect(body.items).toHaveLength(100)
})

test('outbox: clocks agree again → what was pending runs once', async () => {
  await dev.reaches(pending, 'running', { within: 40_000 })
  expect((await dev.temporal.listOnce('pending', 1)).map(({ workflowId }) => workflowId)).toEqual([pending])
})

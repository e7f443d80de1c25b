/** The detector daemon under faults: its own death, a coordinator that is down, a Prometheus with wrong answers. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { dataDirectory } from '../support/data.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { temporaryDirectory, writeProject } from '../support/files.ts'
import type { Decision, List } from '../support/http.ts'
import { listen } from '../support/http-server.ts'
import { freePort } from '../support/ports.ts'
import { type Running, startResile } from '../support/processes.ts'
import { lengthy } from '../support/soak.ts'
import { until } from '../support/until.ts'

let dev: Dev
let prometheus: { url: string; answer: (request: IncomingMessage, response: ServerResponse) => void; asked: number }

const FIRES = (_: IncomingMessage, response: ServerResponse): void => vector(response, [{ node: 'web-1' }])
const CLEAR = (_: IncomingMessage, response: ServerResponse): void => vector(response, [])

beforeAll(async () => {
  prometheus = await startFakePrometheus()
  const project = writeProject({
    'worker.hcl': 'node = "web-1"\ndatacenter = "dc1"\ncommand "touch" { argv = ["/bin/true"] }',
    'workflows/touch.hcl': 'task_queue_target = "node"\ninput "unit" { type = "string" }',
    'workflows/touch.ts': 'export async function touch(): Promise<string> { return "touched" }',
  })
  dev = await startDev({ project, nodes: ['web-1'] })
})

beforeEach(() => {
  prometheus.answer = CLEAR
})

/** Decisions on triggers of one detector. */
async function decisions(detector: string): Promise<Decision[]> {
  const { body } = await dev.call<List<Decision>>('/v1/decisions?limit=500')
  return body.items.filter(({ trigger }) => trigger?.name === detector)
}

async function admitted(detector: string): Promise<Decision[]> {
  return (await decisions(detector)).filter(({ outcome }) => outcome === 'admitted')
}

describe('detector killed in an episode', () => {
  test('started again → triggers nothing until the next episode', async () => {
    const detector = await startDetector('killed')
    prometheus.answer = FIRES
    await until('it has triggered', async () => (await decisions('killed')).length === 1)
    for (let round = 0; round < 4; round += 1) {
      detector.running.kill('SIGKILL')
      await detector.running.ended
      detector.restart()
      await looks(3)
    }
    expect(await decisions('killed')).toHaveLength(1)
    prometheus.answer = CLEAR
    await until('it has cleared', () => detector.said().includes('"event":"cleared"'))
    prometheus.answer = FIRES
    await until('it has triggered again', async () => (await decisions('killed')).length === 2)
    expect(await dev.temporal.listOnce('touch', 2)).toHaveLength(2)
  })

  test('at any moment around the trigger → one execution', async () => {
    for (let round = 0; round < 6; round += 1) {
      const name = `any-moment-${round}`
      prometheus.answer = CLEAR
      const detector = await startDetector(name)
      await looks(1)
      prometheus.answer = FIRES
      await delay(round * 40)
      detector.running.kill('SIGKILL')
      await detector.running.ended
      detector.restart()
      await until('it has triggered', async () => (await decisions(name)).length > 0)
      await looks(3)
      expect(await decisions(name)).toHaveLength(1)
      detector.running.kill('SIGKILL')
    }
  })
})

test('detector: two on one directory → the second ends with the reason', async () => {
  const detector = await startDetector('twice')
  const second = startResile(detector.args)
  expect(await second.ended).toMatchObject({ code: 1, stderr: expect.stringContaining('another detector runs here') })
})

describe('detector, coordinator down', () => {
  const DOWN = lengthy(30_000, 10_000)

  test('back later → trigger arrives, unless the signal has resolved', { timeout: 240_000 }, async () => {
    const [stays, clears] = [await startDetector('stays'), await startDetector('clears', { path: '/clears' })]
    let gone = false
    prometheus.answer = (request, response) =>
      vector(response, request.url?.startsWith('/clears') && gone ? [] : [{ node: 'web-1' }])
    const pid = dev.pid('coordinator')
    // A stopped one can't be restarted; nothing answers.
    kill(pid, 'SIGSTOP')
    const down = Date.now()
    try {
      stays.restart()
      clears.restart()
      await until('both have tried', () => [stays, clears].every(({ said }) => said().includes('"event":"condition"')))
      gone = true
      await until('one has cleared', () => clears.said().includes('"event":"cleared"'))
      await delay(Math.max(0, DOWN - (Date.now() - down)))
    } finally {
      // What was unread in its socket is lost with it; `resile dev` restarts it, if it hasn't yet.
      if (dev.pids('coordinator').includes(pid)) kill(pid, 'SIGKILL')
    }
    await until('the trigger has arrived', async () => (await admitted('stays').catch(() => [])).length === 1, {
      within: 90_000,
    })
    await looks(5)
    expect(await admitted('stays')).toHaveLength(1)
    expect(await decisions('clears')).toEqual([])
  })
})

describe('Prometheus in trouble', () => {
  const many = Array.from({ length: 1001 }, (_, index) => ({ node: 'web-1', series: String(index) }))
  test.each<[string, (request: IncomingMessage, response: ServerResponse) => void, RegExp]>([
    ['500s', (_, response) => vector(response, [{ node: 'web-1' }], '1', 500), /status 500/],
    ['HTML', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>up</h1>'), /not what/],
    ['over 1,000 series', (_, response) => vector(response, many), /1001 series/],
    ['broken connections', (request) => request.socket.destroy(), /hang up|ECONNRESET/],
    ['silence', () => undefined, /timed out/],
  ])('%s → triggers nothing, reported until it is over', async (name, answer, reason) => {
    const detector = await startDetector(`lies-${name.replaceAll(/\W+/g, '-').toLowerCase()}`)
    prometheus.answer = answer
    await until('it is said', () => reason.test(failures(detector.said())))
    const before = prometheus.asked
    await until('it was asked again', () => prometheus.asked >= before + 3)
    expect(await decisions(detector.name)).toEqual([])
    expect(await metric(detector.metrics, 'resile_detector_evaluations_total', 'unknown')).toBeGreaterThan(0)
    prometheus.answer = FIRES
    await until('it sees again', () => detector.said().includes('"event":"detector_sees"'))
    await until('it triggers', async () => (await decisions(detector.name)).length === 1)
  })

  test('NaN → no trouble, nothing fires', async () => {
    const detector = await startDetector('nan')
    prometheus.answer = (_, response) => vector(response, [{ node: 'web-1' }], 'NaN')
    await looks(4)
    expect(await decisions(detector.name)).toEqual([])
    expect(failures(detector.said())).toBe('')
  })

  test('answer hangs for half a minute → polled on', async () => {
    const detector = await startDetector('hangs')
    prometheus.answer = (request, response) => {
      const late = setTimeout(() => FIRES(request, response), 30_000)
      response.on('close', () => clearTimeout(late))
    }
    const before = prometheus.asked
    await until('it is asked again and again', () => prometheus.asked >= before + 3, { within: 20_000 })
    expect(failures(detector.said())).toMatch(/timed out/)
    expect(await decisions(detector.name)).toEqual([])
  })
})

describe('detector --explain', () => {
  test('each detector → what it sees and why it would trigger; triggers nothing', async () => {
    prometheus.answer = FIRES
    const project = detectorProject('explained', { more: 'for = "1h"' })
    const args = ['detector', '--once', '--explain', '--project', project, '--coordinator', `unix:${dev.file.socket}`]
    const held = await startResile([...args, '--data', temporaryDirectory()]).ended
    expect(held).toMatchObject({ code: 0 })
    expect(held.stdout).toMatch(/explained \(prometheus → touch\): 1 condition\(s\)\n .*up == 0 is 1 for/)
    expect(held.stdout).toMatch(/would not trigger: it was first seen 0s ago, and has to hold for 1h/)
    const due = detectorProject('explained')
    const json = await startResile([...args.with(4, due), '--data', temporaryDirectory(), '--json']).ended
    expect(JSON.parse(json.stdout)).toMatchObject({
      items: [
        {
          detector: 'explained',
          sees: 'conditions',
          conditions: [
            { would_trigger: true, why: expect.stringMatching(/it is due; the coordinator says: admitted/) },
          ],
        },
      ],
    })
    expect(await decisions('explained')).toEqual([])
  })

  test('beside a running one → knows its episodes', async () => {
    const detector = await startDetector('known')
    prometheus.answer = FIRES
    await until('it has triggered', async () => (await decisions('known')).length === 1)
    const { stdout } = await startResile([...detector.args, '--once', '--explain']).ended
    expect(stdout).toMatch(/would not trigger: it was triggered \S+ ago in this episode; it has no repeat_after/)
  })

  test('trigger that the coordinator would refuse → the fields that are wrong', async () => {
    prometheus.answer = FIRES
    const project = detectorProject('mistaken', { more: 'input = { unit = 5 }' })
    const args = ['--project', project, '--coordinator', `unix:${dev.file.socket}`, '--data', temporaryDirectory()]
    const { stdout } = await startResile(['detector', '--once', '--explain', ...args]).ended
    expect(stdout).toMatch(/the coordinator says: invalid_input: .* \(\/input\/unit: must be of type string\)/)
  })

  test('source unreachable → exit code 1', async () => {
    prometheus.answer = (_, response) => response.writeHead(503).end()
    const project = detectorProject('blind')
    const ended = await startResile(['detector', '--once', '--explain', '--project', project]).ended
    expect(ended).toMatchObject({ code: 1, stdout: expect.stringMatching(/blind .*unknown: .*status 503/) })
  })
})

test('detector --once: signal fires → triggers, keeps its state, ends', async () => {
  prometheus.answer = FIRES
  const project = detectorProject('once')
  const data = dataDirectory()
  const args = ['detector', '--once', '--project', project, '--data', data, '--coordinator', `unix:${dev.file.socket}`]
  for (let round = 0; round < 2; round += 1) expect(await startResile(args).ended).toMatchObject({ code: 0 })
  expect(await decisions('once')).toHaveLength(1)
  const { stdout } = await dev.resile('signals', '--name', 'once', '--json')
  expect(JSON.parse(stdout)).toMatchObject({ items: [{ name: 'once', windows: { '1d': { fired: 1, admitted: 1 } } }] })
})

test('resile signals: after a trigger → what became of the signal', async () => {
  prometheus.answer = FIRES
  const detector = await startDetector('told')
  await until('it has triggered', async () => (await decisions('told')).length === 1)
  const [decision] = await decisions('told')
  await dev.reaches(decision?.id ?? '', 'completed')
  prometheus.answer = CLEAR
  await until('it has cleared', () => detector.said().includes('"event":"cleared"'))
  await until('it has helped', async () => {
    const { stdout } = await dev.resile('signals', '--name', 'told', '--json')
    return stdout.includes('"helped":1')
  })
  const shown = await dev.resile('signals', '--over', '1d')
  expect(shown.stdout).toMatch(/prometheus told +touch +1 +1 +0 +1 +0 +0 +0/)
})

test('detector: more signals than max triggers → the rest held back', async () => {
  prometheus.answer = (_, response) =>
    vector(
      response,
      Array.from({ length: 9 }, (_, n) => ({ node: 'web-1', disk: `d${n}` })),
    )
  const detector = await startDetector('limited', {
    more: `limit {
      triggers = 3
      per = "1h"
    }`,
  })
  await until('it is said', () => detector.said().includes('"event":"triggers_held"'))
  await looks(4)
  expect(await decisions('limited')).toHaveLength(3)
  expect(await metric(detector.metrics, 'resile_detector_triggers_held', 'limited')).toBe(6)
})

/** An extra daemon beside that of `resile dev`, which has no detectors. */
async function startDetector(
  name: string,
  options: { path?: string; more?: string } = {},
): Promise<{
  name: string
  args: string[]
  metrics: string
  running: Running
  restart: () => void
  said: () => string
}> {
  const listen = `127.0.0.1:${await freePort()}`
  const project = detectorProject(name, options)
  const data = dataDirectory()
  const args = ['detector', '--project', project, '--data', data, '--coordinator', `unix:${dev.file.socket}`]
  const runs: Running[] = []
  const started = {
    name,
    args,
    metrics: `http://${listen}/metrics`,
    running: startResile([...args, '--metrics', listen]),
    restart() {
      started.running.kill('SIGKILL')
      started.running = startResile(args)
      runs.push(started.running)
    },
    said: () => runs.map(({ said }) => said.stdout + said.stderr).join(''),
  }
  runs.push(started.running)
  onTestFinished(() => started.running.kill('SIGKILL'))
  await until('the detector runs', () => started.said().includes('"event":"detectors_started"'))
  return started
}

function detectorProject(name: string, { path = '', more = '' }: { path?: string; more?: string } = {}): string {
  return writeProject({
    'workflows/touch.hcl': 'task_queue_target = "node"',
    'workflows/touch.ts': 'export async function touch(): Promise<string> { return "touched" }',
    'detectors.hcl': `
      detector "${name}" {
        workflow = "touch"
        interval = "300ms"
        target { node = "\${labels.node}" }
        prometheus {
          url     = "${prometheus.url}${path}"
          query   = "up == 0"
          timeout = "1s"
        }
        ${more}
      }`,
  })
}

/** Waits until Prometheus was asked so many times more. */
async function looks(count: number): Promise<void> {
  const before = prometheus.asked
  await until(`${count} more looks`, () => prometheus.asked >= before + count)
}

/** The details of the evaluations that failed. */
function failures(said: string): string {
  const lines = said.split('\n').filter((line) => line.includes('"event":"evaluation_failed"'))
  return lines.join('\n')
}

async function metric(url: string, name: string, label: string): Promise<number> {
  const text = await (await fetch(url)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name}{`) && one.includes(`"${label}"`))
  return Number(line?.split(' ').at(-1))
}

function vector(response: ServerResponse, series: Record<string, string>[], value = '1', status = 200): void {
  const result = series.map((labels) => ({ metric: labels, value: [Date.now() / 1000, value] }))
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }))
}

/** A Prometheus with faults that a real one does not have on demand. */
async function startFakePrometheus(): Promise<typeof prometheus> {
  const fake: typeof prometheus = { url: '', answer: CLEAR, asked: 0 }
  const port = await listen((request, response) => {
    request.resume()
    fake.asked += 1
    fake.answer(request, response)
  })
  fake.url = `http://127.0.0.1:${port}`
  return fake
}

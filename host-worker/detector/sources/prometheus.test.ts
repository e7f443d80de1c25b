import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { detectorsSchema, type PrometheusConfig } from '../../../shared/config.ts'
import type { Observation } from './observation.ts'
import { watchPrometheus } from './prometheus.ts'
import type { Source } from './source.ts'

const NOW = Date.now()
let server: Server
let url: string
let directory: string
let respond: (request: IncomingMessage, response: ServerResponse) => void
let asked: { path: string | undefined; authorization: string | undefined; body: string }[] = []
const opened: Source[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      asked.push({ path: request.url, authorization: request.headers.authorization, body })
      respond(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  directory = await mkdtemp(join(tmpdir(), 'resile-prometheus-'))
})
afterEach(async () => {
  asked = []
  for (const source of opened.splice(0)) await source.close?.()
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await rm(directory, { recursive: true })
})

function source(config: Record<string, unknown> = {}): Source {
  const block = { url, query: 'up == 0', ...config }
  const { detector } = detectorsSchema.parse({ detector: { d: { workflow: 'w', interval: '1s', prometheus: block } } })
  const opening = watchPrometheus(detector.d?.prometheus as PrometheusConfig, directory)
  opened.push(opening)
  return opening
}

function answer(status: number, body: string, type = 'application/json'): void {
  respond = (_, response) => response.writeHead(status, { 'content-type': type }).end(body)
}

function vector(...series: [Record<string, string>, string][]): string {
  const result = series.map(([metric, value]) => ({ metric, value: [NOW / 1000, value] }))
  return JSON.stringify({ status: 'success', data: { resultType: 'vector', result } })
}

describe('answer', () => {
  const poll = async (body: string): Promise<Observation> => {
    answer(200, body)
    return source().observe(NOW)
  }

  it('summary → short and printable', async () => {
    const observation = await poll(vector([{ a: `\u009b31m\u202e${'x'.repeat(100_000)}` }, '1']))
    const [firing] = 'firing' in observation ? observation.firing : []
    expect(firing?.summary).toMatch(/^up == 0 is 1 for \{"a":"\uFFFD31m\uFFFDx+…$/)
    expect(firing?.summary.length).toBeLessThan(1100)
    expect(firing?.labels.a).toHaveLength(100_005)
  })

  it('series → fire with labels and value', async () => {
    expect(await poll(vector([{ instance: 'a' }, '0'], [{ instance: 'b' }, '0.5']))).toMatchObject({
      firing: [
        { labels: { instance: 'a' }, value: '0' },
        { labels: { instance: 'b' }, value: '0.5' },
      ],
    })
    expect(asked).toMatchObject([{ path: '/api/v1/query', body: 'query=up+%3D%3D+0', authorization: undefined }])
  })

  it('same series → same fingerprint; other series → another', async () => {
    const prints: unknown[] = []
    for (const labels of [
      { a: '1', b: '2' },
      { b: '2', a: '1' },
      { a: '2', b: '1' },
    ]) {
      const observation = await poll(vector([labels, '7']))
      prints.push('firing' in observation ? observation.firing[0]?.fingerprint : null)
    }
    const [first, again, other] = prints
    expect(first).toBeDefined()
    expect(first).toBe(again)
    expect(first).not.toBe(other)
  })

  it('NaN → does not fire; infinity → fires', async () => {
    expect(await poll(vector([{}, 'NaN'], [{ x: '1' }, '+Inf']))).toMatchObject({ firing: [{ value: '+Inf' }] })
  })

  it('no series → nothing fires', async () => expect(await poll(vector())).toEqual({ firing: [] }))

  it('scalar → one series without labels', async () => {
    const body = { status: 'success', data: { resultType: 'scalar', result: [NOW / 1000, '3'] } }
    expect(await poll(JSON.stringify(body))).toMatchObject({ firing: [{ labels: {}, value: '3' }] })
  })
})

describe('faulty server', () => {
  const thousand = Array.from({ length: 1001 }, (_, index): [Record<string, string>, string] => [
    { i: `${index}` },
    '1',
  ])
  const old = { metric: {}, value: [NOW / 1000 - 3600, '1'] }
  const success = (data: unknown, more = {}) => JSON.stringify({ status: 'success', data, ...more })
  const one = { resultType: 'vector', result: [{ metric: {}, value: [NOW / 1000, '1'] }] }
  it.each([
    ['a refused query', 400, '{"status":"error","errorType":"bad_data","error":"parse error"}', 'parse error'],
    ['an error of its own', 503, '{"status":"error","errorType":"timeout","error":"query timed out"}', 'timed out'],
    ['a good answer with a bad status', 500, vector([{}, '1']), 'status 500'],
    ['a proxy', 502, '<html>', 'status 502'],
    ['a page', 200, '<html>Welcome</html>', 'not what Prometheus answers'],
    ['a redirect', 302, '', 'status 302'],
    ['no content', 200, '', 'not what Prometheus answers'],
    ['half an answer', 200, vector([{}, '1']).slice(0, -5), 'not what Prometheus answers'],
    ['a range', 200, success({ resultType: 'matrix', result: [] }), 'the query returns a range vector'],
    ['a string', 200, success({ resultType: 'string', result: [0, 'x'] }), 'the query returns a string'],
    ['a value that is no number', 200, vector([{}, 'yes']), 'not what Prometheus answers'],
    [
      'a number where Prometheus writes text',
      200,
      success({ resultType: 'vector', result: [{ metric: {}, value: [1, 1] }] }),
      'not what',
    ],
    ['too many series', 200, vector(...thousand), '1001 series, over 1000'],
    ['the same series twice', 200, vector([{ a: '1' }, '1'], [{ a: '1' }, '2']), 'twice'],
    ['an old answer', 200, success({ resultType: 'vector', result: [old] }), 'a sample is not current'],
    [
      'part of an answer',
      200,
      success(one, { warnings: ['remote read failed'] }),
      'may be incomplete: remote read failed',
    ],
    ['an endless answer', 200, `"${'x'.repeat(5 * 1024 * 1024)}"`, 'over 4194304 bytes'],
  ])('%s → unknown', async (_, status, body, reason) => {
    answer(status, body)
    expect(await source().observe(NOW)).toEqual({ unknown: expect.stringContaining(reason) })
  })

  it('no answer → unknown', async () => {
    respond = () => undefined
    expect(await source({ timeout: '200ms' }).observe(NOW)).toEqual({ unknown: expect.stringContaining('timed out') })
  })

  it('endless answer → unknown', async () => {
    respond = (_, response) => void response.writeHead(200).write('{"status":')
    expect(await source({ timeout: '200ms' }).observe(NOW)).toEqual({ unknown: expect.stringContaining('timed out') })
  })

  it('unreachable → unknown', async () => {
    expect(await source({ url: 'http://127.0.0.1:1' }).observe(NOW)).toEqual({
      unknown: expect.stringMatching(/no answer from Prometheus at http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/),
    })
  })
})

it('several servers, one dead → next one asked, and first from then on', async () => {
  answer(200, vector([{}, '1']))
  const several = source({ url: undefined, urls: ['http://127.0.0.1:1', `${url}/second/`] })
  expect(await several.observe(NOW)).toMatchObject({ firing: [{ value: '1' }] })
  expect(asked.map(({ path }) => path)).toEqual(['/second/api/v1/query'])
  answer(500, '')
  expect(await several.observe(NOW)).toEqual({ unknown: expect.stringMatching(/status 500; .*ECONNREFUSED/) })
})

describe('authentication', () => {
  it('name and password → read again each time', async () => {
    answer(200, vector())
    await writeFile(join(directory, 'password'), 'one\n')
    const asking = source({ username: 'resile', password_file: 'password' })
    await asking.observe(NOW)
    await writeFile(join(directory, 'password'), 'two\n')
    await asking.observe(NOW)
    const basic = (password: string) => `Basic ${Buffer.from(`resile:${password}`).toString('base64')}`
    expect(asked.map(({ authorization }) => authorization)).toEqual([basic('one'), basic('two')])
  })

  it('bearer token → sent', async () => {
    answer(200, vector())
    process.env['PROMETHEUS_TEST_TOKEN'] = 'token-1'
    await source({ bearer_token_env: 'PROMETHEUS_TEST_TOKEN' }).observe(NOW)
    expect(asked[0]?.authorization).toBe('Bearer token-1')
  })

  it('secret missing → nothing asked', async () => {
    expect(await source({ bearer_token_file: 'absent' }).observe(NOW)).toEqual({
      unknown: expect.stringContaining('ENOENT'),
    })
    await writeFile(join(directory, 'empty'), '\n')
    expect(await source({ bearer_token_file: 'empty' }).observe(NOW)).toEqual({
      unknown: expect.stringContaining('empty holds no secret'),
    })
    expect(asked).toEqual([])
  })
})

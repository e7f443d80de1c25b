import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DetectorConfig, detectorsSchema } from '../../shared/config.ts'
import { observe } from './sources.ts'

/** What the fake Prometheus answers next. A real one is used end to end; this one says what a real one rarely does. */
let answer: { status: number; body: string }
let asked: string
let server: Server
let url: string
beforeAll(async () => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      asked = `${request.url} ${body}`
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function detector(source: object): DetectorConfig {
  const { detector: parsed } = detectorsSchema.parse({ detector: { d: { workflow: 'w', interval: '1s', ...source } } })
  return parsed.d as DetectorConfig
}

function vector(...series: [Record<string, string>, string][]): string {
  const result = series.map(([metric, value]) => ({ metric, value: [1, value] }))
  return JSON.stringify({ status: 'success', data: { resultType: 'vector', result } })
}

describe('prometheus', () => {
  const poll = async (status: number, body: string): ReturnType<typeof observe> => {
    answer = { status, body }
    return observe(detector({ prometheus: { url, query: 'up == 0' } }))
  }

  it('each returned series fires, with its labels and value', async () => {
    const observation = await poll(200, vector([{ instance: 'a' }, '0'], [{ instance: 'b' }, '0.5']))
    expect(observation).toMatchObject({
      firing: [
        { labels: { instance: 'a' }, value: '0' },
        { labels: { instance: 'b' }, value: '0.5' },
      ],
    })
    expect(asked).toBe('/api/v1/query query=up+%3D%3D+0')
  })

  it('a series has the same fingerprint each time, and another one another', async () => {
    const [first, again] = [
      await poll(200, vector([{ a: '1', b: '2' }, '0'])),
      await poll(200, vector([{ b: '2', a: '1' }, '7'])),
    ]
    const other = await poll(200, vector([{ a: '2', b: '1' }, '0']))
    const fingerprint = (observation: typeof first): string | undefined =>
      'firing' in observation ? observation.firing[0]?.fingerprint : undefined
    expect(fingerprint(first)).toBe(fingerprint(again))
    expect(fingerprint(first)).not.toBe(fingerprint(other))
  })

  it('NaN does not fire, infinity does', async () => {
    expect(await poll(200, vector([{}, 'NaN'], [{ x: '1' }, '+Inf']))).toMatchObject({ firing: [{ value: '+Inf' }] })
  })

  it('nothing returned fires nothing', async () => expect(await poll(200, vector())).toEqual({ firing: [] }))

  it('a scalar is one series without labels', async () => {
    const body = JSON.stringify({ status: 'success', data: { resultType: 'scalar', result: [1, '3'] } })
    expect(await poll(200, body)).toMatchObject({ firing: [{ labels: {}, value: '3' }] })
  })

  it.each([
    ['a refused query', 400, '{"status":"error","errorType":"bad_data","error":"parse error"}', 'parse error'],
    ['a proxy', 502, '<html>', 'no answer'],
    ['another result type', 200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', 'no answer'],
  ])('%s says nothing about the condition', async (_, status, body, reason) => {
    expect(await poll(status, body)).toEqual({ unknown: expect.stringContaining(reason) })
  })

  it('nor does a Prometheus that is not there', async () => {
    expect(await observe(detector({ prometheus: { url: 'http://127.0.0.1:1', query: 'up' } }))).toEqual({
      unknown: expect.stringContaining('no answer'),
    })
  })
})

describe('http_check', () => {
  it('fires on failure, and only then', async () => {
    answer = { status: 200, body: '' }
    expect(await observe(detector({ http_check: { url } }))).toEqual({ firing: [] })
    answer = { status: 503, body: '' }
    expect(await observe(detector({ http_check: { url } }))).toMatchObject({ firing: [{ value: '503', labels: {} }] })
    expect(await observe(detector({ http_check: { url, expect_status: 503 } }))).toEqual({ firing: [] })
    expect(await observe(detector({ http_check: { url: 'http://127.0.0.1:1/' } }))).toMatchObject({
      firing: [{ value: '0' }],
    })
  })
})

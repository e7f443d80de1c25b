import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { checkPolicy } from '../../shared/check-policy.ts'
import { CheckRefused, checkHttp } from './check-http.ts'

let server: Server
let url: string
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/hang') return
    if (request.url === '/moved') response.writeHead(302, { location: '/' }).end()
    else response.writeHead(request.url === '/sick' ? 500 : 200).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

it('checkHttp: statuses → healthy or not', async () => {
  expect(await checkHttp({ url })).toEqual({ ok: true, status: 200, durationMs: expect.any(Number) })
  expect(await checkHttp({ url: `${url}/sick` })).toMatchObject({
    ok: false,
    status: 500,
    error: 'status 500, expected 200',
  })
  expect(await checkHttp({ url: `${url}/sick`, expectStatus: 500 })).toMatchObject({ ok: true })
})

it('checkHttp: redirect → an answer', async () => {
  expect(await checkHttp({ url: `${url}/moved` })).toMatchObject({ ok: false, status: 302 })
})

it.each([
  ['a hanging service', { url: '/hang', timeout: '200ms' }, 'timed out'],
  ['a bad timeout', { url: '/', timeout: 'soon' }, 'not a duration'],
])('checkHttp: %s → result, not an exception', async (_, request, error) => {
  expect(await checkHttp({ ...request, url: `${url}${request.url}` })).toMatchObject({
    ok: false,
    status: 0,
    error: expect.stringContaining(error),
  })
})

it.each(['http://127.0.0.1:1/', 'not a url', '', 'ftp://127.0.0.1/'])('never throws: %s', async (bad) => {
  expect(await checkHttp({ url: bad })).toMatchObject({ ok: false, status: 0, error: expect.any(String) })
})

it('checkHttp: name that resolves to what the policy refuses → nothing is requested', async () => {
  const asked: string[] = []
  const judged = (refusal: string | null) => ({
    refuseUrl: () => null,
    refuseAddress: (_: URL, address: string) => {
      asked.push(address)
      return refusal
    },
  })
  const named = url.replace('127.0.0.1', 'localhost')
  await expect(checkHttp({ url: named }, judged('not here'))).rejects.toEqual(new CheckRefused('not here'))
  expect(await checkHttp({ url: named }, judged(null))).toMatchObject({ ok: true })
  expect(asked).toContain('127.0.0.1')
})

it('checkHttp: URL that the policy refuses → not requested', async () => {
  await expect(checkHttp({ url: 'data:,ok' }, checkPolicy(['*'], []))).rejects.toThrow('neither http: nor https:')
})

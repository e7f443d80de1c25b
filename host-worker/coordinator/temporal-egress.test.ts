import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import type { CoordinatorConfig } from '../../shared/config.ts'
import { testAuthority } from '../../test/support/certificates.ts'
import { temporaryDirectory } from '../../test/support/files.ts'
import { TemporalEgress, temporalRoute } from './temporal-egress.ts'

interface Ask {
  status: number
  date: string | undefined
  body: string
}

function ask(socketPath: string, path: string, body: string): Promise<Ask> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST', headers: { 'content-type': 'application/json' } })
    sent.once('error', reject)
    sent.once('response', (answer) => {
      const { statusCode: status = 0, headers } = answer
      text(answer).then((read) => resolve({ status, date: headers.date, body: read }), reject)
    })
    sent.end(body)
  })
}

const temporal = { namespace: 'default', address: '127.0.0.1:7233' }

test('egress: certificate, server name and API key → sent with each request; status, body and date come back', async () => {
  const authority = await testAuthority()
  const [server, client] = [
    await authority.issue({ server: true, dns: ['temporal.example.org'] }),
    await authority.issue(),
  ]
  const project = temporaryDirectory()
  const put = (name: string, content: string): void => writeFileSync(join(project, name), content, { mode: 0o600 })
  put('ca.pem', authority.caPem)
  put('client.pem', client.certPem)
  put('client-key.pem', client.keyPem)
  put('token', 'secret-token\n')
  const date = 'Thu, 01 Jan 2026 00:00:00 GMT'
  const api = createServer(
    {
      cert: server.certPem,
      key: server.keyPem,
      ca: authority.caPem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (incoming, response) => {
      const failed = (): void => void response.destroy()
      text(incoming).then((body) => {
        response.writeHead(409, { date, 'content-type': 'application/json' })
        response.end(JSON.stringify({ url: incoming.url, key: incoming.headers.authorization, body }))
      }, failed)
    },
  )
  await once(api.listen(0, '127.0.0.1'), 'listening')
  const socket = join(project, 'temporal.sock')
  const http_url = `https://127.0.0.1:${(api.address() as AddressInfo).port}/prefix`
  const named = { ca_file: 'ca.pem', cert_file: 'client.pem', key_file: 'client-key.pem', api_key_file: 'token' }
  const block = { ...temporal, ...named, http_url, server_name: 'temporal.example.org' }
  const egress = await listen(socket, block, project)
  onTestFinished(async () => {
    await egress.close()
    api.close()
    api.closeAllConnections()
  })
  expect(await ask(socket, '/prefix/api/v1/x', '{"a":1}')).toEqual({
    status: 409,
    date,
    body: JSON.stringify({ url: '/prefix/api/v1/x', key: 'Bearer secret-token', body: '{"a":1}' }),
  })
})

test('egress: Temporal unreachable → connection closed without an answer', async () => {
  const project = temporaryDirectory()
  writeFileSync(join(project, 'token'), 'secret-token', { mode: 0o600 })
  const socket = join(project, 'temporal.sock')
  const block = { ...temporal, http_url: 'https://127.0.0.1:1', api_key_file: 'token' }
  const egress = await listen(socket, block, project)
  onTestFinished(() => egress.close())
  await expect(ask(socket, '/', '')).rejects.toThrow('socket hang up')
})

test('egress: no credentials → none; file missing → error names it', async () => {
  const project = temporaryDirectory()
  const http_url = 'https://127.0.0.1:1'
  expect(await temporalRoute({ temporal: { ...temporal, http_url } }, project)).toBeNull()
  const block = { ...temporal, http_url, ca_file: 'missing.pem' }
  await expect(temporalRoute({ temporal: block }, project)).rejects.toThrow(/missing\.pem/)
})

async function listen(socket: string, block: CoordinatorConfig['temporal'], project: string): Promise<TemporalEgress> {
  const route = await temporalRoute({ temporal: block }, project)
  if (route === null) throw new Error('no credentials')
  onTestFinished(() => route.client.close())
  return TemporalEgress.listen(socket, route)
}

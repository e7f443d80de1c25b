import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ClientTls } from './client-tls.ts'

const POLL_INTERVAL_MS = 200

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-client-tls-'))
})
afterAll(() => rm(directory, { recursive: true }))

it('client TLS: files change → read again; files gone → last content kept', async () => {
  const ca_file = join(directory, 'ca.pem')
  const tls = new ClientTls({ ca_file }, POLL_INTERVAL_MS)
  await expect(tls.material()).rejects.toThrow('ENOENT')
  await writeFile(ca_file, 'one')
  const first = await tls.material()
  expect(first).toEqual({ ca: 'one' })
  // The same object, by which connections made with it are known.
  expect(await tls.material()).toBe(first)
  await writeFile(ca_file, 'another')
  await sleep(2 * POLL_INTERVAL_MS)
  expect(await tls.material()).toEqual({ ca: 'another' })
  await rm(ca_file)
  await sleep(2 * POLL_INTERVAL_MS)
  expect(await tls.material()).toEqual({ ca: 'another' })
})

it('client TLS: no files → none', async () => {
  expect(await new ClientTls({}).material()).toEqual({})
})

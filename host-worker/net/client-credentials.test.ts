import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ClientCredentials } from './client-credentials.ts'

const POLL_INTERVAL_MS = 200

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-credentials-'))
})
afterAll(() => rm(directory, { recursive: true }))

it('client credentials: files change → read again; files gone → last content kept', async () => {
  const ca_file = join(directory, 'ca.pem')
  const credentials = new ClientCredentials({ ca_file }, POLL_INTERVAL_MS)
  await expect(credentials.current()).rejects.toThrow('ENOENT')
  await writeFile(ca_file, 'one')
  const first = await credentials.current()
  expect(first).toEqual({ ca: 'one' })
  // The same object, by which connections made with it are known.
  expect(await credentials.current()).toBe(first)
  await writeFile(ca_file, 'another')
  await sleep(2 * POLL_INTERVAL_MS)
  expect(await credentials.current()).toEqual({ ca: 'another' })
  await rm(ca_file)
  await sleep(2 * POLL_INTERVAL_MS)
  expect(await credentials.current()).toEqual({ ca: 'another' })
})

it('client credentials: no files → none', async () => {
  expect(await new ClientCredentials({}).current()).toEqual({})
})

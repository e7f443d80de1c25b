import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Episode } from './episodes.ts'
import { EpisodeStore } from './state-file.ts'

let file: string
beforeEach(async () => {
  file = join(await mkdtemp(join(tmpdir(), 'resile-episodes-')), 'deep/episodes.json')
})
afterEach(() => rm(join(file, '../..'), { recursive: true }))

const EPISODE: Episode = {
  firing: { fingerprint: 'f', labels: {}, annotations: {}, value: '1', summary: 's' },
  since: 1,
  began: 1,
  clearSince: null,
  triggers: 1,
  triggeredAt: 2,
  notBefore: 0,
}

it('a later run finds the episodes of an earlier one', async () => {
  const first = new EpisodeStore(file)
  await first.load(Date.now())
  await Promise.all([first.set('a', new Map([['f', EPISODE]])), first.set('b', new Map())])
  const second = new EpisodeStore(file)
  await second.load(Date.now())
  expect(second.get('a')).toEqual(new Map([['f', EPISODE]]))
  expect(second.get('c')).toEqual(new Map())
})

it('what is older than the longest absence is forgotten', async () => {
  await new EpisodeStore(file).set('a', new Map([['f', EPISODE]]))
  const late = new EpisodeStore(file)
  await late.load(Date.now() + 16 * 60_000)
  expect(late.get('a').size).toBe(0)
})

it('a file that cannot be read is as good as none', async () => {
  await new EpisodeStore(file).set('a', new Map([['f', EPISODE]]))
  await writeFile(file, '{"version":1,')
  const store = new EpisodeStore(file)
  await store.load(Date.now())
  expect(store.get('a').size).toBe(0)
  await store.set('a', new Map([['f', EPISODE]]))
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ version: 1 })
})

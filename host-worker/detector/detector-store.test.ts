import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { SignalEpisode } from '../../shared/wire.ts'
import { DetectorStore } from './detector-store.ts'
import { type Episode, observeEpisodes } from './episodes.ts'

let file: string
const opened: DetectorStore[] = []
beforeEach(async () => {
  file = join(await mkdtemp(join(tmpdir(), 'resile-detector-')), 'deep/state.sqlite')
})
afterEach(async () => {
  for (const store of opened.splice(0)) store.close()
  await rm(join(file, '../..'), { recursive: true })
})

function open(options = {}): DetectorStore {
  const store = new DetectorStore(file, options)
  opened.push(store)
  return store
}

const FIRING = { fingerprint: 'f', labels: { node: 'a' }, annotations: {}, value: '1', summary: 's' }
const EPISODES = observeEpisodes(new Map(), { firing: [FIRING] }, { interval: 1, for: 0, clear_for: 0 }, 5).episodes
const HOUR = 3_600_000

it('a later run finds what an earlier one left', () => {
  open().save('a', { episodes: EPISODES, limited: [3], source: { at: 7 } }, 100)
  expect(open().load('a', 1, 200)).toEqual({ episodes: EPISODES, limited: [3], source: { at: 7 } })
  expect(open().load('b', 1, 200)).toEqual({ episodes: new Map<string, Episode>(), limited: [], source: null })
})

it('after a long absence a condition is a new episode, but what was read stays read', () => {
  open().save('a', { episodes: EPISODES, limited: [], source: 'position' }, 0)
  expect(open().load('a', 1, HOUR).episodes.size).toBe(1)
  expect(open().load('a', 1, HOUR + 1)).toEqual({ episodes: new Map(), limited: [], source: 'position' })
  expect(open().load('a', HOUR, 2 * HOUR).episodes.size).toBe(1)
})

it('a long episode does not grow old while it is looked at', () => {
  const store = open()
  const state = { episodes: EPISODES, limited: [], source: null }
  for (let now = 0; now <= 3 * HOUR; now += 15_000) store.save('a', state, now)
  expect(open().load('a', 1, 3 * HOUR + 60_000).episodes.size).toBe(1)
})

it('a file that is broken is put aside', async () => {
  open().close()
  await writeFile(file, 'not a database at all, but long enough to be looked at as if it were one'.repeat(100))
  const store = open()
  store.save('a', { episodes: EPISODES, limited: [], source: null }, 0)
  expect(open().load('a', 1, 0).episodes.size).toBe(1)
  expect((await readdir(dirname(file))).some((name) => name.startsWith('state.sqlite.broken-'))).toBe(true)
})

it('without a place to write it goes on with what it has in memory', async () => {
  await writeFile(join(file, '../../deep'), 'a file where a directory should be')
  const store = open()
  store.save('a', { episodes: EPISODES, limited: [], source: null }, 0)
  expect(store.load('a', 1, 0).episodes.size).toBe(0)
  expect(store.reports(10)).toEqual([])
})

it('who only looks on sees nothing where there is nothing, and makes nothing', async () => {
  expect(open({ readsOnly: true }).load('a', 1, 0).episodes.size).toBe(0)
  await expect(readdir(dirname(file))).rejects.toThrow('ENOENT')
})

it('of an episode only the newest report waits, until it was taken', () => {
  const report = (fingerprint: string, admitted: number): SignalEpisode => ({
    source: 'log',
    name: 'a',
    workflow: 'w',
    fingerprint,
    began: '2026-01-01T00:00:00.000Z',
    ended: null,
    admitted,
    denied: 0,
    code: null,
    executions: [],
  })
  const store = open()
  store.report(report('f', 0))
  store.report(report('g', 0))
  const early = store.reports(10)
  store.report(report('f', 1))
  // What was sent meanwhile is not what waits now.
  store.taken(early)
  expect(store.reports(10).map(({ episode }) => [episode.fingerprint, episode.admitted])).toEqual([['f', 1]])
  store.taken(store.reports(10))
  expect(open().reports(10)).toEqual([])
})

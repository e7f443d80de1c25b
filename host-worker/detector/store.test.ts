import { statSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { SignalEpisode } from '../../shared/wire.ts'
import { type Episode, type Episodes, observeEpisodes } from './episodes.ts'
import { DetectorStore, StateUnreadable } from './store.ts'

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

it('detector state: restart → found again', () => {
  open().save('a', { episodes: EPISODES, limited: [3], source: { at: 7 } }, 100)
  expect(open().load('a', 1, 200)).toEqual({ episodes: EPISODES, limited: [3], source: { at: 7 } })
  expect(open().load('b', 1, 200)).toEqual({ episodes: new Map<string, Episode>(), limited: [], source: null })
})

it('detector state: long downtime → new episodes, positions kept', () => {
  open().save('a', { episodes: EPISODES, limited: [], source: 'position' }, 0)
  expect(open().load('a', 1, HOUR).episodes.size).toBe(1)
  expect(open().load('a', 1, HOUR + 1)).toEqual({ episodes: new Map(), limited: [], source: 'position' })
  expect(open().load('a', HOUR, 2 * HOUR).episodes.size).toBe(1)
})

it('detector state: long episode → does not age while polled', () => {
  const store = open()
  const state = { episodes: EPISODES, limited: [], source: null }
  for (let now = 0; now <= 3 * HOUR; now += 15_000) store.save('a', state, now)
  expect(open().load('a', 1, 3 * HOUR + 60_000).episodes.size).toBe(1)
})

it('detector state: corrupt file → put aside', async () => {
  open().close()
  await writeFile(file, 'not a database at all, but long enough to be looked at as if it were one'.repeat(100))
  const store = open()
  store.save('a', { episodes: EPISODES, limited: [], source: null }, 0)
  expect(open().load('a', 1, 0).episodes.size).toBe(1)
  expect((await readdir(dirname(file))).some((name) => name.startsWith('state.sqlite.broken-'))).toBe(true)
})

it('detector state: not writable → daemon does not start', async () => {
  await writeFile(join(file, '../../deep'), 'a file where a directory should be')
  expect(() => open()).toThrow(StateUnreadable)
})

it('detector state: read-only use, unreadable → error', async () => {
  open().close()
  await writeFile(file, 'no database'.repeat(1000))
  expect(() => open({ readsOnly: true }).load('a', 1, 0)).toThrow(StateUnreadable)
  expect((await readdir(dirname(file))).some((name) => name.includes('broken'))).toBe(false)
})

it('detector state: unreadable → not treated as empty', () => {
  const store = open()
  store.save('a', { episodes: EPISODES, limited: [], source: null }, 0)
  const other = new DatabaseSync(file)
  other.exec("UPDATE detectors SET state = 'no JSON'")
  other.close()
  expect(() => open().load('a', 1, 0)).toThrow(StateUnreadable)
})

it('detector state: write fails → reported, written later', () => {
  const store = open()
  const state = { episodes: EPISODES, limited: [], source: null }
  const other = new DatabaseSync(file)
  other.exec("CREATE TRIGGER full BEFORE INSERT ON episodes BEGIN SELECT RAISE(ABORT, 'disk full'); END")
  expect(store.save('a', state, 0)).toBe(false)
  expect(store.load('a', 1, 0)).toEqual({ episodes: new Map(), limited: [], source: null })
  other.exec('DROP TRIGGER full')
  other.close()
  expect(store.save('a', state, 0)).toBe(true)
  expect(open().load('a', 1, 0).episodes).toEqual(EPISODES)
})

it('detector state: a thousand conditions → only changes written', () => {
  const store = open()
  const seen = (before: Episodes, value: string): Episodes => {
    const firing = Array.from({ length: 1000 }, (_, index) => ({ ...FIRING, fingerprint: `f${index}`, value }))
    return observeEpisodes(before, { firing }, { interval: 1, for: 0, clear_for: 0 }, 5).episodes
  }
  const first = seen(new Map(), '1')
  store.save('a', { episodes: first, limited: [], source: null }, 0)
  const other = new DatabaseSync(file)
  other.exec(
    'CREATE TABLE writes (n); CREATE TRIGGER counts AFTER INSERT ON episodes BEGIN INSERT INTO writes VALUES (1); END',
  )
  const second = seen(first, '2')
  store.save('a', { episodes: second, limited: [], source: { at: 2 } }, 1)
  const one = second.get('f7')
  if (one === undefined) throw new Error('there is one')
  const third = new Map([...second, ['f7', { ...one, triggers: 1 }]])
  store.save('a', { episodes: third, limited: [], source: { at: 2 } }, 2)
  expect(other.prepare('SELECT count(*) AS n FROM writes').get()?.n).toBe(1)
  other.close()
  const after = open().load('a', 1, 2)
  expect([after.episodes.size, after.episodes.get('f7')?.triggers, after.source]).toEqual([1000, 1, { at: 2 }])
  third.delete('f8')
  store.save('a', { episodes: third, limited: [], source: { at: 2 } }, 3)
  expect(open().load('a', 1, 3).episodes.has('f8')).toBe(false)
  // Another run has not written them itself.
  open().save('a', { episodes: new Map(), limited: [], source: null }, 4)
  expect(open().load('a', 1, 4).episodes.size).toBe(0)
})

it('detector state: clock set back during downtime → nothing waits longer', () => {
  const waiting = new Map([...EPISODES].map(([key, one]) => [key, { ...one, notBefore: 5 * HOUR + 60 }]))
  open().save('a', { episodes: waiting, limited: [], source: null }, 5 * HOUR)
  const [episode] = open()
    .load('a', 1, 2 * HOUR)
    .episodes.values()
  expect(episode).toMatchObject({ notBefore: 2 * HOUR + 60, began: 5 })
})

it('detector state: read-only use, missing → empty, nothing made', async () => {
  expect(open({ readsOnly: true }).load('a', 1, 0).episodes.size).toBe(0)
  await expect(readdir(dirname(file))).rejects.toThrow('ENOENT')
})

it('reports: several per episode → only the newest waits', () => {
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
  const state = { episodes: EPISODES, limited: [], source: null }
  store.save('a', state, 0, [report('f', 0), report('g', 0)])
  const early = store.reports(10)
  store.save('a', state, 0, [report('f', 1)])
  // What was sent meanwhile is not what waits now.
  store.taken(early)
  expect(store.reports(10).map(({ episode }) => [episode.fingerprint, episode.admitted])).toEqual([['f', 1]])
  store.taken(store.reports(10))
  expect(open().reports(10)).toEqual([])
})

it('detector state: disk full later → still writable', () => {
  const store = open()
  const sizes = (): number[] => [file, `${file}-wal`].map((name) => statSync(name).size)
  const before = sizes()
  for (let now = 0; now < 300; now += 1) {
    const episodes = new Map([...EPISODES].map(([key, episode]) => [key, { ...episode, notBefore: now }]))
    store.save('a', { episodes, limited: [now], source: { at: now } }, now)
  }
  expect(sizes()).toEqual(before)
})

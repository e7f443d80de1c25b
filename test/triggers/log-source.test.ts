import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { LogFollower } from '../../host-worker/detector/sources/log/log-follower.ts'
import { Notices } from '../../host-worker/detector/sources/matching/notices.ts'
import type { Notice } from '../../host-worker/detector/sources/source.ts'
import { atEnd } from '../support/cleanup.ts'
import { repository, temporaryDirectory } from '../support/files.ts'
import { run } from '../support/processes.ts'

const LINES = 1_000_000

test('log source: a million lines, 20 rotations, 5 truncations → each line read once', async () => {
  const directory = temporaryDirectory()
  const path = join(directory, 'app.log')
  const progress = join(directory, 'progress')
  const seen = new Uint8Array(LINES)
  let lines = 0
  const notices = new Notices()
  const onLine = (line: string): void => {
    const number = Number(line.split(' ')[0])
    seen[number] = (seen[number] ?? 0) + 1
    lines += 1
  }
  const follower = new LogFollower({ files: [path], from: 'beginning', interval: 1000, notices, onLine })
  atEnd(() => follower.close())
  const told: Notice[] = []
  const poll = async (): Promise<void> => {
    expect(await follower.poll(Date.now())).toBeNull()
    told.push(...notices.take())
    writeFileSync(`${progress}.new`, String(lines))
    renameSync(`${progress}.new`, progress)
  }
  await poll()
  const program = join(repository, 'test/support/busy-log-writer.ts')
  const writer = run(process.execPath, [program, path, String(LINES), '20', '5', progress])
  const ended = writer.ended.then(({ code, stderr }) => {
    expect(stderr).toBe('')
    return code
  })
  // Seldom enough for several rotations between two polls.
  let code: number | null | undefined
  while (code === undefined) {
    code = await Promise.race([ended, sleep(100, undefined)])
    await poll()
  }
  expect(code).toBe(0)
  expect([...seen.keys()].filter((number) => seen[number] !== 1).slice(0, 10)).toEqual([])
  expect(lines).toBe(LINES)
  const truncations = told.filter(({ event, level }) => event === 'log_truncated' && level === 'info')
  expect(truncations).toHaveLength(5)
  expect(
    told.filter(({ level, event }) => level !== 'info' && event !== 'log_missing' && event !== 'log_lags'),
  ).toEqual([])
})

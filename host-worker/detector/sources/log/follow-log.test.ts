import { afterEach, beforeEach, expect, it } from 'vitest'
import type { LogConfig } from '../../../../shared/config.ts'
import type { Source } from '../source.ts'
import { followLog } from './follow-log.ts'
import { LogWriter } from './test-support.ts'

let writer: LogWriter
let config: LogConfig
let source: Required<Source>
beforeEach(() => {
  writer = new LogWriter()
  config = { files: [writer.path], pattern: 'ERROR on (?P<node>\\S+)', count: 2, within: 60_000, from: 'end' }
  source = followLog(config, null)
})
afterEach(async () => {
  await source.close()
  writer.close()
})

const restart = async (state: unknown = source.state(), changed: Partial<LogConfig> = {}): Promise<void> => {
  const kept: unknown = JSON.parse(JSON.stringify(state))
  await source.close()
  source = followLog({ ...config, ...changed }, kept)
}

it('log source: enough matches per labels → fires until they are old', async () => {
  writer.append('ERROR on old\nERROR on old\n')
  expect(await source.observe(1000)).toEqual({ firing: [] })
  writer.append('ERROR on web-1\nERROR on web-2\nfine\nERROR on web-1 again\n')
  const fires = { labels: { node: 'web-1' }, value: '2', summary: `${writer.path}: ERROR on web-1 again` }
  expect(await source.observe(2000)).toMatchObject({ firing: [fires] })
  expect(await source.observe(61_999)).toMatchObject({ firing: [fires] })
  expect(await source.observe(62_000)).toEqual({ firing: [] })
})

it('log source: restart → continues, no line twice', async () => {
  await source.observe(1000)
  writer.append('ERROR on web-1\n')
  await source.observe(2000)
  await restart()
  expect(await source.observe(3000)).toEqual({ firing: [] })
  writer.append('ERROR on web-1\n')
  await restart()
  expect(await source.observe(4000)).toMatchObject({ firing: [{ value: '2' }] })
})

it('log source: nothing happens → state unchanged', async () => {
  writer.append('ERROR on web-1\n')
  await source.observe(60_000)
  const state = JSON.stringify(source.state())
  await source.observe(61_000)
  await source.observe(119_000)
  expect(JSON.stringify(source.state())).toBe(state)
})

it('log source: pattern changed → counts restart, position kept', async () => {
  await source.observe(1000)
  writer.append('ERROR on web-1\nERROR on web-1\n')
  await source.observe(2000)
  await restart(source.state(), { pattern: '(?:ERROR|WARNING) on (?P<node>\\S+)' })
  expect(await source.observe(3000)).toEqual({ firing: [] })
  writer.append('WARNING on web-1\nERROR on web-1\n')
  expect(await source.observe(4000)).toMatchObject({ firing: [{ value: '2' }] })
})

it.each([
  ['text', 'nonsense'],
  ['of a later version', { kind: 'log', version: 2 }],
  [
    'damaged',
    { kind: 'log', version: 1, pattern: '', matches: { sets: [], overflowed: null }, positions: { files: 'x' } },
  ],
])('log source: state %s → ignored, and reported', async (_, state) => {
  await restart(state)
  writer.append('ERROR on old\nERROR on old\n')
  expect(await source.observe(1000)).toEqual({ firing: [] })
  expect(source.notices()).toMatchObject([{ event: 'log_state_unusable', level: 'warn' }])
})

it('log source: path is not a file → unknown', async () => {
  await restart(null, { files: [writer.directory] })
  expect(await source.observe(1000)).toEqual({ unknown: `${writer.directory} is not a regular file` })
  expect(source.notices()).toMatchObject([{ event: 'log_unreadable' }])
})

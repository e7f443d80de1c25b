import { describe, expect, it } from 'vitest'
import type { ScheduleConfig } from '../../../shared/config.ts'
import { cronOf, cronProblem } from '../../config/cron.ts'
import { watchSchedule } from './schedule.ts'

const at = (text: string): number => Date.parse(text)
const HOURLY: ScheduleConfig = { cron: '0 * * * *', time_zone: 'UTC', missed: 'skip', retry_for: 600_000 }

/** Looks at the given times, each with the state that the one before has left, and says for which starts it fired. */
async function play(schedule: ScheduleConfig, times: readonly string[]): Promise<(string | null)[]> {
  let state: unknown = null
  const fired: (string | null)[] = []
  for (const time of times) {
    const source = watchSchedule(schedule, state)
    const observation = await source.observe(at(time))
    state = JSON.parse(JSON.stringify(source.state?.()))
    fired.push('firing' in observation ? (observation.firing[0]?.value ?? null) : 'unknown')
  }
  return fired
}

const THREE = '2026-01-01T03:00:00.000Z'
const FOUR = '2026-01-01T04:00:00.000Z'

describe('schedule', () => {
  it('due → fires for as long as it may be tried', async () => {
    const times = ['2026-01-01T02:59:59Z', '2026-01-01T03:00:00.500Z', '2026-01-01T03:09:59Z', '2026-01-01T03:10:01Z']
    expect(await play(HOURLY, times)).toEqual([null, THREE, THREE, null])
  })

  it('first poll → nothing missed', async () => {
    expect(await play({ ...HOURLY, missed: 'once' }, ['2026-01-01T03:00:30Z'])).toEqual([null])
  })

  it('missed = skip → skipped', async () => {
    expect(await play(HOURLY, ['2026-01-01T00:30:00Z', '2026-01-01T03:30:00Z', '2026-01-01T04:00:01Z'])).toEqual([
      null,
      null,
      FOUR,
    ])
  })

  it('missed = run → newest made up for, once', async () => {
    const times = [
      '2026-01-01T00:30:00Z',
      '2026-01-01T03:30:00Z',
      '2026-01-01T03:39:00Z',
      '2026-01-01T03:41:00Z',
      '2026-01-01T04:00:01Z',
    ]
    expect(await play({ ...HOURLY, missed: 'once' }, times)).toEqual([null, THREE, THREE, null, FOUR])
  })

  it('seconds late → not missed', async () => {
    expect(await play(HOURLY, ['2026-01-01T02:30:00Z', '2026-01-01T03:00:45Z'])).toEqual([null, THREE])
  })

  it('clock set back → not twice', async () => {
    const times = [
      '2026-01-01T02:30:00Z',
      '2026-01-01T03:00:01Z',
      '2026-01-01T02:59:00Z',
      '2026-01-01T03:00:02Z',
      '2026-01-01T04:00:01Z',
    ]
    const fired = await play(HOURLY, times)
    expect(fired[1]).toBe(THREE)
    expect(fired[3]).toBe(THREE)
    expect(fired[4]).toBe(FOUR)
  })

  it('very many missed → newest found quickly', async () => {
    const minutely = { ...HOURLY, cron: '* * * * *', missed: 'once' as const }
    expect(await play(minutely, ['2021-01-01T00:00:30Z', '2026-01-01T03:01:30Z'])).toEqual([
      null,
      '2026-01-01T03:01:00.000Z',
    ])
  })

  it('clock was years ahead → not silent for years', async () => {
    const times = ['2030-01-01T02:30:00Z', '2030-01-01T03:00:01Z', '2026-01-01T02:30:00Z', '2026-01-01T03:00:01Z']
    const fired = await play({ ...HOURLY, retry_for: 60_000 }, times)
    // The start that the wrong clock brought is tried no longer than it would be anyway.
    expect(fired.slice(1)).toEqual(['2030-01-01T03:00:00.000Z', '2030-01-01T03:00:00.000Z', THREE])
    const source = watchSchedule(HOURLY, { handled: at('2030-01-01T03:00:00Z'), current: null })
    await source.observe(at(THREE))
    expect(source.notices?.()).toMatchObject([{ level: 'warn', event: 'schedule_clock_set_back' }])
  })

  it('clock set back → not tried longer', async () => {
    const state = { handled: at(THREE), current: { at: at(THREE), until: at(THREE) + 600_000 } }
    const source = watchSchedule(HOURLY, state)
    await source.observe(at('2026-01-01T01:00:00Z'))
    expect(await source.observe(at('2026-01-01T01:09:59Z'))).toMatchObject({ firing: [{ value: THREE }] })
    expect(await source.observe(at('2026-01-01T01:10:01Z'))).toEqual({ firing: [] })
  })

  it.each([
    { handled: 1e300, current: null },
    { handled: -1, current: null },
  ])('state %j → ignored', async (state) => {
    expect(await watchSchedule(HOURLY, state).observe(at(THREE))).toEqual({ firing: [] })
  })

  it('implausible state → ignored', async () => {
    const source = watchSchedule(HOURLY, { handled: 'yesterday' })
    expect(await source.observe(at(THREE))).toEqual({ firing: [] })
  })

  it('missed → reported', async () => {
    const source = watchSchedule(HOURLY, { handled: at('2026-01-01T00:30:00Z'), current: null })
    await source.observe(at('2026-01-01T03:30:00Z'))
    expect(source.notices?.()).toEqual([{ level: 'warn', event: 'schedule_missed', at: THREE, made_up_for: false }])
    expect(source.notices?.()).toEqual([])
  })
})

describe('cron expression', () => {
  const next = (cron: string, zone: string, time: string): string =>
    new Date(cronOf(cron, zone).after(at(time)) ?? Number.NaN).toISOString()

  it('time zone → respected', () => {
    expect(next('30 3 * * *', 'Europe/Berlin', '2026-01-01T00:00:00Z')).toBe('2026-01-01T02:30:00.000Z')
    expect(next('30 3 * * *', 'Europe/Berlin', '2026-07-01T00:00:00Z')).toBe('2026-07-01T01:30:00.000Z')
  })

  it('clock change → once', () => {
    // 02:30 is left out in spring, and there twice in autumn.
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z')).toBe('2026-03-29T01:30:00.000Z')
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z')).toBe('2026-10-25T00:30:00.000Z')
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z')).toBe('2026-10-26T01:30:00.000Z')
  })

  it.each(['0 3 * * *', '*/5 8-18 * * MON-FRI'])('%s is one', (cron) => expect(cronProblem(cron, 'UTC')).toBeNull())

  it.each([
    ['0 0 30 2 *', 'matches no date'],
    ['* * * * * *', 'exactly 5 parts'],
    ['61 * * * *', 'Invalid value for minute'],
    ['tomorrow', 'not a cron expression'],
  ])('%s → invalid', (cron, problem) => expect(cronProblem(cron, 'UTC')).toContain(problem))
})

import { describe, expect, it } from 'vitest'
import { cronOf } from './cron.ts'

/** The first times after another one, as UTC to the minute. */
function times(expression: string, zone: string, after: string, count: number): string[] {
  const cron = cronOf(expression, zone)
  const found: string[] = []
  for (let time: number | null = Date.parse(after); time !== null && found.length < count; ) {
    time = cron.after(time)
    if (time !== null) found.push(new Date(time).toISOString().slice(5, 16))
  }
  return found
}

describe('cron at the end of daylight saving time', () => {
  it('each minute → no pause', () => {
    const all = times('* * * * *', 'Europe/Berlin', '2026-10-24T23:59:00Z', 240)
    expect(all.at(0)).toBe('10-25T00:00')
    expect(all.at(-1)).toBe('10-25T03:59')
    expect(new Set(all).size).toBe(240)
  })

  it.each([
    ['30 * * * *', ['10-24T23:30', '10-25T00:30', '10-25T01:30', '10-25T02:30']],
    ['0 1-3 * * *', ['10-25T00:00', '10-25T01:00', '10-25T02:00']],
    ['*/30 2 * * *', ['10-25T00:00', '10-25T00:30', '10-25T01:00', '10-25T01:30', '10-26T01:00']],
    ['30 2 * * *', ['10-25T00:30', '10-26T01:30']],
    ['0 2,3 * * *', ['10-25T00:00', '10-25T02:00', '10-26T01:00']],
  ])('%s → wildcards and ranges in both passes, fixed times once', (expression, expected) => {
    expect(times(expression, 'Europe/Berlin', '2026-10-24T23:10:00Z', expected.length)).toEqual(expected)
  })
})

describe('cron at the beginning of daylight saving time', () => {
  it.each([
    ['30 * * * *', ['03-29T00:30', '03-29T01:30']],
    ['*/30 * * * *', ['03-29T00:30', '03-29T01:00', '03-29T01:30']],
    ['30 2 * * *', ['03-29T01:30', '03-30T00:30']],
  ])('%s → goes on; a fixed time that is left out comes after it', (expression, expected) => {
    expect(times(expression, 'Europe/Berlin', '2026-03-29T00:10:00Z', expected.length)).toEqual(expected)
  })
})

it.each([
  ['Asia/Kolkata', '0 * * * *', ['01-01T00:30']],
  ['Australia/Lord_Howe', '*/30 1 * * *', ['04-04T14:00', '04-04T14:30', '04-04T15:00', '04-05T14:30']],
  ['UTC', '15 10 29 2 *', ['02-29T10:15']],
])('cron in %s → by its clock', (zone, expression, expected) => {
  const after = zone === 'Australia/Lord_Howe' ? '2026-04-04T13:00:00Z' : '2026-01-01T00:10:00Z'
  expect(times(expression, zone, after, expected.length)).toEqual(expected)
})

import { expect, it } from 'vitest'
import { linePattern } from './line-pattern.ts'
import { Notices } from './notices.ts'
import { printable } from './printable.ts'

it('line pattern: named groups → labels', () => {
  const pattern = linePattern('(?:on (?P<node>\\w+)|at (?<place>\\w*))!')
  expect(pattern.match('error on web1! again')).toEqual({ node: 'web1' })
  expect(pattern.match('error at !')).toEqual({ place: '' })
  expect(pattern.match('error on web1')).toBeNull()
  expect(linePattern('(a)b').match('xab')).toEqual({})
})

it('line pattern: long labels → cut', () => {
  expect(linePattern('(?P<all>.*)').match('😀'.repeat(1000))?.['all']?.length).toBe(256)
  expect(linePattern('(?P<all>.*)').match(`x${'😀'.repeat(1000)}`)?.['all']).toMatch(/^x😀+\uFFFD$/u)
})

it('line pattern: any line → linear time', () => {
  const pattern = linePattern('(?P<label>(a+)+)$')
  const began = performance.now()
  expect(pattern.match(`${'a'.repeat(60_000)}!`)).toBeNull()
  // A backtracking one would not come to an end.
  expect(performance.now() - began).toBeLessThan(20_000)
})

it('printable: control characters → replaced, and cut', () => {
  expect(printable('a\tb\r\u001b\u202e\u2028c\ud800', 100)).toBe('a b\uFFFD\uFFFD\uFFFD\uFFFDc\uFFFD')
  expect(printable('abcdef', 3)).toBe('abc…')
})

it('notices: many → bounded and counted', () => {
  const notices = new Notices()
  for (let number = 0; number < 150; number += 1) notices.add({ event: 'log_missing', level: 'info', number })
  const taken = notices.take()
  expect(taken).toHaveLength(101)
  expect(taken.at(-1)).toEqual({ event: 'notices_dropped', level: 'warn', number: 50 })
  expect(notices.take()).toEqual([])
})

import { expect, test } from 'vitest'
import { manPage } from './man-page.ts'

const page = manPage('1.2.3', 'Does things: one, then another', 0)

test('has every command, with its options', () => {
  expect(page).toContain('.TH RESILE 1 "1970-01-01" "Resile 1.2.3"')
  expect(page).toContain('.SS "resile backup <file>"')
  expect(page).toContain('.B "\\-\\-project <dir>"')
})

test('no line of text is taken for a request', () => {
  const known = new Set(['TH', 'SH', 'SS', 'TP', 'PP', 'B', 'I', 'RI'])
  const requests = page.split('\n').filter((line) => /^[.']/.test(line))
  expect(requests.filter((line) => !known.has(/^\.([A-Z]+)\b/.exec(line)?.[1] ?? line))).toEqual([])
})

test('characters of roff → escaped', () => {
  expect(manPage('1', '.begins with a dot, has a \\ and "quotes"', 0)).toContain(
    '\\&.begins with a dot, has a \\e and \\(dqquotes\\(dq',
  )
})

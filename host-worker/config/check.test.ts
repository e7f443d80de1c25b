import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkProject, formatDiagnostic, toJson } from './check.ts'

const diagnostic = { file: 'a.hcl', line: 2, column: 3, key: 'x', message: 'is wrong', permitted: ['y', 'z'] }

test('errors and warnings are lines', () => {
  expect(formatDiagnostic(diagnostic)).toBe('a.hcl:2:3: x: is wrong (permitted: y, z)')
  expect(formatDiagnostic({ ...diagnostic, permitted: [] }, 'warning')).toBe('a.hcl:2:3: x: warning: is wrong')
})

test('nothing in a file breaks the line or speaks to the terminal', () => {
  const line = formatDiagnostic({ ...diagnostic, key: 'a\nb', message: '\x1b[2J\x9b\x7f', permitted: [] })
  expect(line).toBe('a.hcl:2:3: a\\u000ab: \\u001b[2J\\u009b\\u007f')
})

test('the same as JSON, with no more than is promised', () => {
  const more = { ...diagnostic, extra: true }
  expect(toJson({ ok: false, errors: [more], warnings: [] })).toEqual({ ok: false, errors: [diagnostic], warnings: [] })
})

test('a project is checked', async () => {
  const none = await checkProject(join(import.meta.dirname, 'testdata'))
  expect(none).toEqual({
    ok: false,
    errors: [
      {
        file: 'coordinator.hcl',
        line: 1,
        column: 1,
        key: 'file',
        message: 'is required, but is not there',
        permitted: [],
      },
    ],
    warnings: [],
  })
})

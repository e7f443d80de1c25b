import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkProject, formatDiagnostic, toJson } from './check.ts'

const diagnostic = { file: 'a.hcl', line: 2, column: 3, key: 'x', message: 'is wrong', permitted: ['y', 'z'] }

test('resile check: errors and warnings → one line each', () => {
  expect(formatDiagnostic(diagnostic)).toBe('a.hcl:2:3: x: is wrong (permitted: y, z)')
  expect(formatDiagnostic({ ...diagnostic, permitted: [] }, 'warning')).toBe('a.hcl:2:3: x: warning: is wrong')
})

test('resile check: control characters → replaced', () => {
  const line = formatDiagnostic({ ...diagnostic, key: 'a\nb', message: '\x1b[2J\x9b\x7f', permitted: [] })
  expect(line).toBe('a.hcl:2:3: a\\u000ab: \\u001b[2J\\u009b\\u007f')
})

test('resile check: --json → the same as JSON', () => {
  const more = { ...diagnostic, extra: true }
  expect(toJson({ ok: false, errors: [more], warnings: [] })).toEqual({ ok: false, errors: [diagnostic], warnings: [] })
})

test('resile check: valid project → ok', async () => {
  const none = await checkProject(join(import.meta.dirname, 'testdata'))
  expect(none).toEqual({
    ok: false,
    errors: [
      {
        file: 'coordinator.hcl',
        line: 1,
        column: 1,
        key: 'file',
        message: 'is required, but does not exist',
        permitted: [],
      },
    ],
    warnings: [],
  })
})

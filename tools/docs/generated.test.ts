import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { ALERT_ON } from '../../shared/events.ts'
import { generatedPages } from './generated.ts'

test.each(Object.entries(generatedPages()))('%s: the code has changed → `npm run docs` was run', (path, text) => {
  expect(readFileSync(join(PACKAGE_ROOT, path), 'utf8')).toBe(text)
})

test('events to alert on: each is named once', () => {
  expect(new Set(ALERT_ON).size).toBe(ALERT_ON.length)
})

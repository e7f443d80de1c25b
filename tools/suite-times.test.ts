import { afterEach, expect, test, vi } from 'vitest'
import type { TestModule } from 'vitest/node'
import { SuiteTimes } from './suite-times.ts'

const fileOf = (name: string) => ({ project: { name } }) as TestModule

afterEach(() => {
  vi.useRealTimers()
})

test('suite times: files that overlap → from the first start to the last end, suites in order', () => {
  vi.useFakeTimers({ now: 0 })
  const times = new SuiteTimes()
  times.onTestModuleStart(fileOf('unit'))
  vi.setSystemTime(10_000)
  times.onTestModuleStart(fileOf('unit'))
  vi.setSystemTime(40_000)
  times.onTestModuleEnd(fileOf('unit'))
  times.onTestModuleStart(fileOf('e2e'))
  vi.setSystemTime(42_000)
  times.onTestModuleEnd(fileOf('unit'))
  vi.setSystemTime(165_000)
  times.onTestModuleEnd(fileOf('e2e'))
  expect(String(times)).toBe('unit 42 s, e2e 2 min 5 s')
})

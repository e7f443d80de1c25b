/** Files run one after the other in one isolate: after each test nothing is stood in for, after each file nothing is stored. */
import { reset } from 'cloudflare:test'
import { afterAll, afterEach, vi } from 'vitest'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

afterAll(() => reset())

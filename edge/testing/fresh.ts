/** What each test of a whole coordinator begins with, and leaves. */
import { reset } from 'cloudflare:test'
import { vi } from 'vitest'
import { sendHeartbeats } from './coordinator.ts'
import { FakeTemporal } from './temporal.ts'

/** A Temporal that knows nothing yet, and nodes that serve everything. */
export async function freshTemporal(): Promise<FakeTemporal> {
  const temporal = new FakeTemporal()
  temporal.install()
  await sendHeartbeats()
  return temporal
}

/** Takes back what a test stood in for, and forgets all that was stored. */
export async function cleanUp(): Promise<void> {
  vi.useRealTimers()
  vi.restoreAllMocks()
  await reset()
}

import { expect, test } from 'vitest'
import type { Clearance } from '../../../shared/heartbeat.ts'
import type { Freeze } from '../../../shared/wire.ts'
import { ChangeDeferred, type ClearanceSource, checkClearance, type FirstChange } from './clearance.ts'
import { PermitRefused } from './refused.ts'

const NOW = Date.UTC(2026, 5, 1)
const change: FirstChange = {
  execution: 'e1',
  workflow: 'restart-service',
  datacenter: 'dc1',
  node: 'web-1',
  firstRunId: 'r1',
}
const freeze = (scope: Freeze['scope'], expires_at: string | null = null): Freeze => ({
  id: '01a1fd87-1ab3-749c-8831-cc78a8e48041',
  scope,
  reason: 'maintenance',
  caller: 'spiffe://example.org/ops',
  created_at: new Date(NOW - 1000).toISOString(),
  expires_at,
})
const answering = (freezes: Freeze[], status: Clearance['status'] = 'open', first_run_id: string | null = 'r1') =>
  ({
    confirm: async () => ({ freezes, executions: [{ id: 'e1', status, first_run_id }] }),
    freezes: [],
  }) satisfies ClearanceSource
const silent = (freezes: Freeze[] = []): ClearanceSource => ({ confirm: async () => null, freezes })

/** `clear`, or why not. */
async function outcome(source: ClearanceSource): Promise<string> {
  try {
    await checkClearance(source, change, NOW)
    return 'clear'
  } catch (error) {
    if (error instanceof ChangeDeferred) return error.type
    if (error instanceof PermitRefused) return error.reason
    throw error
  }
}

test.each<[string, Freeze['scope'], boolean]>([
  ['everything', {}, true],
  ['the node', { node: 'web-1' }, true],
  ['the workflow on the node', { node: 'web-1', workflow: 'restart-service' }, true],
  ['the datacenter', { datacenter: 'dc1' }, true],
  ['another node', { node: 'web-2' }, false],
  ['another workflow on the node', { node: 'web-1', workflow: 'reboot-node' }, false],
  ['another datacenter', { datacenter: 'dc2' }, false],
])('clearance: freeze of %s → deferred: %s', async (_, scope, isDeferred) => {
  for (const source of [answering([freeze(scope)]), silent([freeze(scope)])]) {
    expect(await outcome(source)).toEqual(isDeferred ? 'HostFrozen' : 'clear')
  }
})

test('clearance: expired freeze → no longer covers', async () => {
  const past = freeze({}, new Date(NOW - 1).toISOString())
  expect(await outcome(silent([past]))).toBe('clear')
})

test.each<[Clearance['status'], string | null, string]>([
  ['open', 'r1', 'clear'],
  ['open', null, 'clear'],
  ['unknown', null, 'clear'],
  ['open', 'r9', 'wrong_workflow'],
  ['closed', 'r1', 'wrong_workflow'],
  ['over_limit', 'r1', 'OverLimit'],
])('clearance: %s, first run %s → %s', async (status, run, expected) => {
  expect(await outcome(answering([], status, run))).toBe(expected)
})

import { expect, test } from 'vitest'
import type { Clearance, Freeze } from '../../../shared/wire.ts'
import { type ClearanceSource, checkClearance, type FirstChange } from './clearance.ts'

const NOW = Date.UTC(2026, 5, 1)
const change: FirstChange = {
  execution: 'e1',
  workflow: 'restart-service',
  datacenter: 'dc1',
  node: 'web-1',
  firstRunId: 'r1',
  runId: 'r2',
}
const freeze = (scope: Freeze['scope'], expires_at: string | null = null): Freeze => ({
  id: '01a1fd87-1ab3-749c-8831-cc78a8e48041',
  scope,
  reason: 'maintenance',
  caller: 'spiffe://example.org/ops',
  created_at: new Date(NOW - 1000).toISOString(),
  expires_at,
})
const answering = (freezes: Freeze[], status: Clearance['status'] = 'open', run_id: string | null = 'r1') =>
  ({
    confirm: async () => ({ freezes, executions: [{ id: 'e1', status, run_id }] }),
    freezes: [],
  }) satisfies ClearanceSource
const silent = (freezes: Freeze[] = []): ClearanceSource => ({ confirm: async () => null, freezes })

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
    const asked = checkClearance(source, change, NOW)
    if (isDeferred) await expect(asked).rejects.toMatchObject({ type: 'HostFrozen' })
    else await expect(asked).resolves.toBeUndefined()
  }
})

test('clearance: expired freeze → no longer covers', async () => {
  const past = freeze({}, new Date(NOW - 1).toISOString())
  await expect(checkClearance(silent([past]), change, NOW)).resolves.toBeUndefined()
})

test.each<[Clearance['status'], string | null, object | null]>([
  ['open', 'r1', null],
  ['open', 'r2', null],
  ['open', null, null],
  ['unknown', null, null],
  ['open', 'r9', { reason: 'wrong_workflow' }],
  ['closed', 'r1', { reason: 'wrong_workflow' }],
  ['over_limit', 'r2', { type: 'OverLimit' }],
])('clearance: %s, run %s → %o', async (status, run, failure) => {
  const asked = checkClearance(answering([], status, run), change, NOW)
  if (failure === null) await expect(asked).resolves.toBeUndefined()
  else await expect(asked).rejects.toMatchObject(failure)
})

import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../host-worker/process/package-root.ts'
import { type PlayedHost, startWorkflowRig, type WorkflowRig } from '../host-worker/testing/workflow-rig.ts'
import type { CheckResult } from './sdk/index.ts'
import { playedPool } from './testing/played-pool.ts'
import { replayAndRecord } from './testing/recorded-histories.ts'

const HEALTHY: CheckResult = { ok: true, status: 200, durationMs: 1 }
const SICK: CheckResult = { ok: false, status: 500, durationMs: 1, error: 'status 500, expected 200' }
const CHECK = { url: 'http://web-1/' }
const REBOOTED = { previousBootId: 'a', bootId: 'b', durationMs: 60_000 }

let rig: WorkflowRig
beforeAll(async () => {
  rig = await startWorkflowRig([{ type: 'rebootNode', code: join(PACKAGE_ROOT, 'workflows/reboot-node.ts') }])
}, 120_000)
afterAll(() => rig?.close())

function host(checks: CheckResult[]): PlayedHost {
  const left = [...checks]
  return {
    checkHttp: async () => (left.length > 1 ? left.shift() : left[0]) ?? SICK,
    collectDiagnostics: async () => ({ node: 'web-1' }) as never,
    describeCommand: async ({ name }) => ({ name, argv: ['reboot'], timeoutMs: 1000, readOnly: false }),
    rebootHost: async () => REBOOTED,
  }
}

const called = (calls: { activity: string }[]): string[] => calls.map(({ activity }) => activity)

function failing(type: string): never {
  throw ApplicationFailure.nonRetryable(type, type)
}

describe('reboot-node', () => {
  it('in a pool → drained, rebooted, verified, returned', async () => {
    const pool = playedPool()
    const { result, calls, history } = await rig.run({
      type: 'rebootNode',
      input: { pool: 'web', check: CHECK, verify_for: '20s' },
      host: { ...host([SICK, SICK, HEALTHY]), ...pool.activities },
    })
    expect(result).toMatchObject({
      before: { health: SICK },
      drained: { changed: true },
      reboot: REBOOTED,
      after: { health: HEALTHY },
      returned: { changed: true },
    })
    const changes = called(calls).filter((activity) => /reboot|drain|return/.test(activity))
    expect(changes).toEqual(['drainServer', 'rebootHost', 'returnServer'])
    await replayAndRecord(rig, 'reboot-node', history)
  })

  it('taken out by somebody else → not returned', async () => {
    const pool = playedPool()
    Object.assign(pool.servers[0] ?? {}, { inRotation: false, serving: false })
    const { result } = await rig.run({
      type: 'rebootNode',
      input: { pool: 'web', check: CHECK },
      host: { ...host([HEALTHY]), ...pool.activities },
    })
    expect(result).toMatchObject({ drained: { changed: false, tookOut: false }, reboot: REBOOTED, returned: null })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })

  it('pool without a check → refused', async () => {
    const { error, calls } = await rig.run({ type: 'rebootNode', input: { pool: 'web' }, host: host([HEALTHY]) })
    expect(error).toMatchObject({ type: 'InvalidInput' })
    expect(calls).toEqual([])
  })

  it('no pool → rebooted', async () => {
    const { result } = await rig.run({ type: 'rebootNode', input: {}, host: host([HEALTHY]) })
    expect(result).toMatchObject({ drained: null, reboot: REBOOTED, returned: null })
  })

  it.each(['CommandFailed', 'HostBusy', 'PermitRefused'])(
    'returns the node when the reboot did not happen for certain: %s',
    async (type) => {
      const pool = playedPool()
      const { error } = await rig.run({
        type: 'rebootNode',
        input: { pool: 'web', check: CHECK },
        host: { ...host([SICK]), ...pool.activities, rebootHost: async () => failing(type) },
      })
      expect(error).toMatchObject({ type, details: { undone: [{ error: null }] } })
      expect(pool.servers[0]?.inRotation).toBe(true)
    },
  )

  it.each(['NotRebooted', 'OutcomeUnknown'])('leaves it out when nobody knows how it is: %s', async (type) => {
    const pool = playedPool()
    const { error } = await rig.run({
      type: 'rebootNode',
      input: { pool: 'web', check: CHECK },
      host: { ...host([SICK]), ...pool.activities, rebootHost: async () => failing(type) },
    })
    expect(error).toMatchObject({ type })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })

  it('not healthy afterwards → stays out', async () => {
    const pool = playedPool()
    const { error } = await rig.run({
      type: 'rebootNode',
      input: { pool: 'web', check: CHECK, verify_for: '2s' },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(error).toMatchObject({ type: 'NotHealthy', details: { reboot: REBOOTED, check: SICK } })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })

  it('command refused by the host → nothing touched', async () => {
    const pool = playedPool()
    const { error, calls } = await rig.run({
      type: 'rebootNode',
      input: { pool: 'web', check: CHECK, command: 'explode' },
      host: { ...host([SICK]), ...pool.activities, describeCommand: async () => failing('CommandNotAllowed') },
    })
    expect(error).toMatchObject({ type: 'ActivityFailure' })
    expect(called(calls)).toEqual(['describeCommand'])
  })

  it('dry run → unchanged', async () => {
    const pool = playedPool()
    const { result, calls } = await rig.run({
      type: 'rebootNode',
      input: { pool: 'web', check: CHECK, dry_run: true },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(result).toMatchObject({ dry_run: true, would_run: { argv: ['reboot'] }, drain: { allowed: true } })
    expect(called(calls)).toEqual(['describeCommand', 'checkHttp', 'collectDiagnostics', 'readPool'])
  })

  it('host does not come back → host_unreachable, stays out', async () => {
    const pool = playedPool()
    const { error } = await rig.run({
      type: 'rebootNode',
      input: { pool: 'web', check: CHECK, within: '2s', via: { node_type: 'lb' } },
      host: host([SICK]),
      others: { 'dc1:type:lb': pool.activities },
      vanishesAfter: 'collectDiagnostics',
    })
    expect(error).toMatchObject({ type: 'host_unreachable', message: expect.stringContaining('rebootHost') })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })
})

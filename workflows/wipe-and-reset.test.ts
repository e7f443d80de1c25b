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

let rig: WorkflowRig
beforeAll(async () => {
  rig = await startWorkflowRig([{ type: 'wipeAndReset', code: join(PACKAGE_ROOT, 'workflows/wipe-and-reset.ts') }])
}, 120_000)
afterAll(() => rig?.close())

function host(checks: CheckResult[], exitCodes: Record<string, number> = {}): PlayedHost {
  const left = [...checks]
  return {
    checkHttp: async () => (left.length > 1 ? left.shift() : left[0]) ?? SICK,
    collectDiagnostics: async () => ({ node: 'web-1' }) as never,
    describeCommand: async ({ name }) => ({ name, argv: [name], timeoutMs: 1000, readOnly: false }),
    runCommand: async ({ name }) => ({ exitCode: exitCodes[name] ?? 0, stdout: '', stderr: 'why', durationMs: 7 }),
  }
}

const changes = (calls: { activity: string; request: unknown }[]): string[] =>
  calls.flatMap(({ activity, request }) => {
    if (activity === 'runCommand') return [(request as { name: string }).name]
    return /drain|return/.test(activity) ? [activity] : []
  })

describe('wipe-and-reset', () => {
  it('in a pool → drained, wiped, provisioned, verified, returned', async () => {
    const pool = playedPool()
    const { result, calls, history } = await rig.run({
      type: 'wipeAndReset',
      input: { pool: 'web', check: CHECK, wipe_params: { disk: 'sda' } },
      host: { ...host([SICK, SICK, HEALTHY]), ...pool.activities },
    })
    expect(result).toMatchObject({
      before: { health: SICK },
      wiped: { exitCode: 0 },
      provisioned: { exitCode: 0 },
      after: { health: HEALTHY },
      returned: { changed: true },
    })
    expect(changes(calls)).toEqual(['drainServer', 'wipe', 'provision', 'returnServer'])
    expect(calls.find(({ activity }) => activity === 'runCommand')?.request).toEqual({
      name: 'wipe',
      outlivesWorker: true,
      params: { disk: 'sda' },
    })
    await replayAndRecord(rig, 'wipe-and-reset', history)
  })

  it.each([
    [{ wipe: 1 }, ['drainServer', 'wipe']],
    [{ provision: 2 }, ['drainServer', 'wipe', 'provision']],
  ] satisfies [Record<string, number>, string[]][])(
    'leaves the node out when a command fails: %j',
    async (exitCodes, done) => {
      const pool = playedPool()
      const { error, calls } = await rig.run({
        type: 'wipeAndReset',
        input: { pool: 'web', check: CHECK },
        host: { ...host([SICK], exitCodes), ...pool.activities },
      })
      expect(error).toMatchObject({ type: 'CommandFailed', details: { command: { stderr: 'why' } } })
      expect([changes(calls), pool.servers[0]?.inRotation]).toEqual([done, false])
    },
  )

  it('not as expected afterwards → stays out', async () => {
    const pool = playedPool()
    const { error } = await rig.run({
      type: 'wipeAndReset',
      input: { pool: 'web', check: CHECK, verify_for: '2s' },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(error).toMatchObject({ type: 'NotHealthy', details: { wiped: { exitCode: 0 }, check: SICK } })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })

  it('too few servers left → nothing wiped', async () => {
    const pool = playedPool()
    const { error, calls } = await rig.run({
      type: 'wipeAndReset',
      input: { pool: 'web', check: CHECK, min_servers: 3 },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(error).toMatchObject({ type: 'too_few_servers' })
    expect(changes(calls)).not.toContain('wipe')
    expect(pool.servers[0]?.inRotation).toBe(true)
  })

  it('command refused by the host → nothing touched', async () => {
    const pool = playedPool()
    const describeCommand: PlayedHost['describeCommand'] = async ({ name }) => {
      if (name === 'provision') throw ApplicationFailure.nonRetryable('no', 'CommandNotAllowed')
      return { name, argv: [name], timeoutMs: 1000, readOnly: false }
    }
    const { error, calls } = await rig.run({
      type: 'wipeAndReset',
      input: { pool: 'web', check: CHECK },
      host: { ...host([SICK]), ...pool.activities, describeCommand },
    })
    expect(error).not.toBeNull()
    expect(changes(calls)).toEqual([])
  })

  it('dry run → unchanged', async () => {
    const { result, calls } = await rig.run({
      type: 'wipeAndReset',
      input: { check: CHECK, dry_run: true },
      host: host([SICK]),
    })
    expect(result).toMatchObject({ dry_run: true, would_run: [{ name: 'wipe' }, { name: 'provision' }], drain: null })
    expect(changes(calls)).toEqual([])
  })
})

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../host-worker/process/package-root.ts'
import { startWorkflowRig, type WorkflowRig } from '../host-worker/testing/workflow-rig.ts'
import type { CheckResult } from './sdk/index.ts'
import { playedPool } from './testing/played-pool.ts'
import { replayAndRecord } from './testing/recorded-histories.ts'

const HEALTHY: CheckResult = { ok: true, status: 200, durationMs: 1 }
const SICK: CheckResult = { ok: false, status: 500, durationMs: 1, error: 'status 500, expected 200' }
const CHECK = { url: 'http://web-1/' }

let rig: WorkflowRig
beforeAll(async () => {
  rig = await startWorkflowRig([
    { type: 'drainNode', code: join(PACKAGE_ROOT, 'workflows/drain-node.ts') },
    { type: 'returnNode', code: join(PACKAGE_ROOT, 'workflows/return-node.ts') },
  ])
}, 120_000)
afterAll(() => rig?.close())

/** A host whose service answers so, one check after the other (the last answer again and again). */
function host(checks: CheckResult[]) {
  const left = [...checks]
  return {
    checkHttp: async () => (left.length > 1 ? left.shift() : left[0]) ?? SICK,
    collectDiagnostics: async () => ({ node: 'web-1' }) as never,
  }
}

const called = (calls: { activity: string }[]): string[] => calls.map(({ activity }) => activity)

describe('drain-node', () => {
  it('in rotation → out, idle, with before and after', async () => {
    const pool = playedPool()
    Object.assign(pool.servers[0] ?? {}, { sessions: 2 })
    setTimeout(() => Object.assign(pool.servers[0] ?? {}, { sessions: 0 }), 2500)
    const { result, history } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', drain_for: '20s' },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(result).toMatchObject({
      drained: {
        changed: true,
        before: { servers: [{ node: 'web-1', inRotation: true }, {}, {}] },
        after: { servers: [{ node: 'web-1', inRotation: false }, {}, {}] },
        sessionsLeft: 0,
      },
      returned: null,
    })
    await replayAndRecord(rig, 'drain-node', history)
  })

  it('requests in progress unknown → waits the whole time', async () => {
    const pool = playedPool()
    Object.assign(pool.servers[0] ?? {}, { sessions: null })
    const { result, calls } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', drain_for: '2s' },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(result).toMatchObject({
      drained: { sessionsLeft: null, after: { servers: [{ inRotation: false }, {}, {}] } },
    })
    const looks = calls.filter(({ activity }) => activity === 'readPool').map(({ request }) => request)
    const first = { pool: 'web', about: 'web-1' }
    expect(looks).toEqual([first, ...Array(looks.length - 1).fill({ pool: 'web', node: 'web-1' })])
    expect(looks.length).toBeGreaterThan(1)
  })

  it('healthy for long enough → returned', async () => {
    const pool = playedPool()
    const { result, calls } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', check: CHECK, return_within: '1m', healthy_for: '2s' },
      host: { ...host([SICK, SICK, HEALTHY, SICK, HEALTHY]), ...pool.activities },
    })
    expect(result).toMatchObject({ health: SICK, returned: { changed: true }, after: HEALTHY })
    expect(called(calls).filter((activity) => activity === 'checkHttp').length).toBeGreaterThanOrEqual(6)
    expect(pool.servers[0]?.serving).toBe(true)
  })

  it('does not recover → stays out, fails', async () => {
    const pool = playedPool()
    const { error } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', check: CHECK, return_within: '3s' },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(error).toMatchObject({ type: 'NotHealthy', message: expect.stringContaining('stays out of pool web') })
    expect(error?.details).toMatchObject({ drained: { changed: true }, check: SICK })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })

  it('does not serve after its return → out again', async () => {
    const pool = playedPool()
    const returnServer: typeof pool.activities.returnServer = async (request) => {
      const change = await pool.activities.returnServer(request)
      Object.assign(pool.servers[0] ?? {}, { serving: false, state: 'DOWN' })
      return { ...change, after: await pool.activities.readPool({ pool: 'web' }) }
    }
    const { error } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', check: CHECK, return_within: '1m', healthy_for: '1s', serve_within: '3s' },
      host: { ...host([HEALTHY]), ...pool.activities, returnServer },
    })
    expect(error).toMatchObject({ type: 'NotServing', details: { undone: [{ error: null }] } })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })

  it('health check of the load balancer rises slowly → waited for', async () => {
    const pool = playedPool()
    let looks = 0
    const { result } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', check: CHECK, return_within: '1m', healthy_for: '1s', serve_within: '3s' },
      host: {
        ...host([HEALTHY]),
        ...pool.activities,
        returnServer: async (request) => {
          const { before } = await pool.activities.returnServer(request)
          Object.assign(pool.servers[0] ?? {}, { serving: false, rising: true, state: 'DOWN 1/9' })
          return { changed: true, before, after: await pool.activities.readPool({ pool: 'web' }) }
        },
        readPool: async (request) => {
          const [server] = pool.servers
          if (server?.rising && ++looks > 5) Object.assign(server, { serving: true, rising: false })
          return pool.activities.readPool(request)
        },
      },
    })
    expect(result).toMatchObject({ returned: { changed: true } })
    expect(looks).toBe(6)
  })

  it('something else returns it meanwhile → drained again, and reported', async () => {
    const pool = playedPool()
    let checks = 0
    const { error } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', check: CHECK, return_within: '3s' },
      host: {
        ...host([SICK]),
        ...pool.activities,
        checkHttp: async () => {
          if (++checks === 2) Object.assign(pool.servers[0] ?? {}, { inRotation: true, serving: true, state: 'UP' })
          return SICK
        },
      },
    })
    expect(error).toMatchObject({ type: 'NotHealthy', details: { drained: { drainedAgain: 1 } } })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })

  it('too few servers → too_few_servers, unchanged', async () => {
    const pool = playedPool()
    for (const server of pool.servers.slice(1)) Object.assign(server, { inRotation: false, serving: false })
    const { error } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web' },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(error).toMatchObject({ type: 'too_few_servers' })
    expect(pool.servers[0]?.inRotation).toBe(true)
  })

  it('other hosts named → asked', async () => {
    const pool = playedPool()
    const { result } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', via: { node_type: 'lb' } },
      host: host([SICK]),
      others: { 'dc1:type:lb': pool.activities },
    })
    expect(result).toMatchObject({ drained: { changed: true } })
  })

  it('cancelled → undone', async () => {
    const pool = playedPool()
    Object.assign(pool.servers[0] ?? {}, { sessions: 5 })
    let drained: () => void = () => undefined
    const cancelWhen = new Promise<void>((resolve) => {
      drained = resolve
    })
    const drainServer: typeof pool.activities.drainServer = async (request) => {
      const change = await pool.activities.drainServer(request)
      drained()
      return change
    }
    const { error } = await rig.run({
      type: 'drainNode',
      input: { pool: 'web', drain_for: '1m' },
      host: { ...host([SICK]), ...pool.activities, drainServer },
      cancelWhen,
    })
    expect(error).toMatchObject({ type: 'CancelledFailure' })
    expect(pool.servers[0]?.inRotation).toBe(true)
  })

  it('dry run → says whether it would', async () => {
    const pool = playedPool()
    const run = {
      type: 'drainNode',
      input: { pool: 'web', dry_run: true },
      host: { ...host([SICK]), ...pool.activities },
    }
    expect((await rig.run(run)).result).toMatchObject({ dry_run: true, drain: { allowed: true, left_serving: 2 } })
    const strict = await rig.run({ ...run, input: { ...run.input, min_servers: 3 } })
    expect(strict.result).toMatchObject({ drain: { allowed: false, min_servers: 3 } })
    expect([called(strict.calls), pool.servers[0]?.inRotation]).toEqual([['readPool'], true])
  })

  it.each([
    [{ pool: 'web', return_within: '1h' }, 'return_within needs a check'],
    [{ pool: 'web', via: {} }, 'via takes one of'],
    [{}, 'pool is required'],
  ])('%j → refused', async (input, message) => {
    const { error, calls } = await rig.run({ type: 'drainNode', input, host: host([SICK]) })
    expect(error).toMatchObject({ type: 'InvalidInput', message: expect.stringContaining(message) })
    expect(calls).toEqual([])
  })
})

describe('return-node', () => {
  it('healthy → returned', async () => {
    const pool = playedPool()
    Object.assign(pool.servers[0] ?? {}, { inRotation: false, serving: false })
    const { result, history } = await rig.run({
      type: 'returnNode',
      input: { pool: 'web', check: CHECK, healthy_for: '1s' },
      host: { ...host([HEALTHY]), ...pool.activities },
    })
    expect(result).toMatchObject({ returned: { changed: true }, health: HEALTHY })
    expect(pool.servers[0]?.serving).toBe(true)
    await replayAndRecord(rig, 'return-node', history)
  })

  it('not healthy → stays out', async () => {
    const pool = playedPool()
    Object.assign(pool.servers[0] ?? {}, { inRotation: false, serving: false })
    const { error } = await rig.run({
      type: 'returnNode',
      input: { pool: 'web', check: CHECK, verify_for: '2s' },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(error).toMatchObject({ type: 'NotHealthy' })
    expect(pool.servers[0]?.inRotation).toBe(false)
  })

  it('dry run → unchanged', async () => {
    const pool = playedPool()
    const { result, calls } = await rig.run({
      type: 'returnNode',
      input: { pool: 'web', check: CHECK, dry_run: true },
      host: { ...host([SICK]), ...pool.activities },
    })
    expect(result).toMatchObject({ dry_run: true, health: SICK })
    expect(called(calls)).toEqual(['checkHttp', 'readPool'])
  })
})

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../host-worker/process/package-root.ts'
import { startWorkflowRig, type WorkflowRig } from '../host-worker/testing/workflow-rig.ts'
import type { FreeDiskReport } from './sdk/index.ts'
import { replayAndRecord } from './testing/recorded-histories.ts'

const room = (freePercent: number) => ({ path: '/var/log/app', total: 1000, free: freePercent * 10, freePercent })
const REPORT: FreeDiskReport = {
  before: room(3),
  after: room(40),
  files: 2,
  bytes: 370,
  removed: [{ path: '/var/log/app/a.1', bytes: 370, modified: '2026-01-01T00:00:00.000Z' }],
  errors: [],
}

let rig: WorkflowRig
beforeAll(async () => {
  rig = await startWorkflowRig([{ type: 'freeDisk', code: join(PACKAGE_ROOT, 'workflows/free-disk.ts') }])
}, 120_000)
afterAll(() => rig?.close())

const free = (report: Partial<FreeDiskReport>, input: object = {}) =>
  rig.run({
    type: 'freeDisk',
    input: { rule: 'logs', ...input },
    host: { freeDisk: async () => ({ ...REPORT, ...report }) },
  })

describe('free-disk', () => {
  it('files removed → reported', async () => {
    const { result, calls, history } = await free({}, { until_free_percent: 30 })
    expect(result).toEqual({ dry_run: false, ...REPORT })
    expect(calls).toEqual([{ activity: 'freeDisk', request: { rule: 'logs', dryRun: false, untilFreePercent: 30 } }])
    await replayAndRecord(rig, 'free-disk', history)
  })

  it('not enough → fails', async () => {
    const { error } = await free({ after: room(20) }, { until_free_percent: 30 })
    expect(error).toMatchObject({ type: 'NotEnoughFreed', message: expect.stringContaining('30 % were required') })
    expect(error?.details).toMatchObject({ report: { after: { freePercent: 20 } } })
  })

  it('nothing removable → fails with the reason', async () => {
    const { error } = await free({ files: 0, errors: ['/var/log/app: EACCES'] })
    expect(error).toMatchObject({ type: 'NotEnoughFreed', message: expect.stringContaining('EACCES') })
  })

  it('dry run → says what it would remove', async () => {
    const { result, calls } = await free({ after: room(3) }, { dry_run: true, until_free_percent: 30 })
    expect(result).toMatchObject({ dry_run: true, files: 2 })
    expect(calls[0]?.request).toMatchObject({ dryRun: true })
  })
})

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../host-worker/process/package-root.ts'
import { startWorkflowRig, type WorkflowRig } from '../host-worker/testing/workflow-rig.ts'
import type { BundleEntry, BundleReport } from './sdk/index.ts'
import { replayAndRecord } from './testing/recorded-histories.ts'

const SUMMARY = { node: 'web-1', load: [1, 1, 1] } as never
const entry = (error: string | null): BundleEntry => ({ name: 'x', bytes: 1, cut: false, redactions: 0, error })
const BUNDLE: BundleReport = { path: '/data/a.zip', bytes: 9, sha256: 'ab', entries: [entry(null), entry('ENOENT')] }

let rig: WorkflowRig
beforeAll(async () => {
  rig = await startWorkflowRig([
    { type: 'collectDiagnostics', code: join(PACKAGE_ROOT, 'workflows/collect-diagnostics.ts') },
  ])
}, 120_000)
afterAll(() => rig?.close())

const collect = (bundle: BundleReport, input: object = {}) =>
  rig.run({
    type: 'collectDiagnostics',
    input,
    host: { collectDiagnostics: async () => SUMMARY, bundleDiagnostics: async () => bundle },
  })

describe('collect-diagnostics', () => {
  it('one part missing → state and bundle', async () => {
    const { result, calls, history } = await collect(BUNDLE)
    expect(result).toEqual({ summary: SUMMARY, bundle: BUNDLE })
    expect(calls[1]?.request).toEqual({ dryRun: false })
    await replayAndRecord(rig, 'collect-diagnostics', history)
  })

  it('nothing available → fails', async () => {
    const { error } = await collect({ ...BUNDLE, entries: [entry('ENOENT')] })
    expect(error).toMatchObject({ type: 'NothingCollected', details: { summary: SUMMARY } })
  })

  it('dry run → writes nothing', async () => {
    const { calls } = await collect({ ...BUNDLE, path: null }, { dry_run: true })
    expect(calls[1]?.request).toEqual({ dryRun: true })
  })
})

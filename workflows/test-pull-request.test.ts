import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../host-worker/process/package-root.ts'
import { startWorkflowRig, type WorkflowRig } from '../host-worker/testing/workflow-rig.ts'
import { replayAndRecord } from './testing/recorded-histories.ts'

const INPUT = { repository: 'shop', revision: 'refs/pull/7/head', test: 'unit' }

let rig: WorkflowRig
beforeAll(async () => {
  rig = await startWorkflowRig([
    { type: 'testPullRequest', code: join(PACKAGE_ROOT, 'workflows/test-pull-request.ts') },
  ])
}, 120_000)
afterAll(() => rig?.close())

const test = (exitCode: number, input: object = {}) =>
  rig.run({
    type: 'testPullRequest',
    input: { ...INPUT, ...input },
    host: {
      testRevision: async () => ({ commit: 'abc', test: { exitCode, stdout: 'log', stderr: '', durationMs: 3 } }),
      describeCommand: async ({ name }) => ({ name, argv: ['npm', 'test'], timeoutMs: 1, readOnly: false }),
    },
  })

describe('test-pull-request', () => {
  it('test passes → completed with its log', async () => {
    const { result, calls, history } = await test(0)
    expect(result).toMatchObject({ passed: true, commit: 'abc', test: { stdout: 'log' } })
    expect(calls).toEqual([{ activity: 'testRevision', request: INPUT }])
    await replayAndRecord(rig, 'test-pull-request', history)
  })

  it('test fails → failed with its log', async () => {
    const { error } = await test(2)
    expect(error).toMatchObject({ type: 'TestsFailed', message: expect.stringContaining('exited with 2') })
    expect(error?.details).toMatchObject({ passed: false, commit: 'abc', test: { stdout: 'log' } })
  })

  it('dry run → runs nothing', async () => {
    const { result, calls } = await test(0, { dry_run: true })
    expect(result).toMatchObject({ dry_run: true, would_run: { argv: ['npm', 'test'] } })
    expect(calls.map(({ activity }) => activity)).toEqual(['describeCommand'])
  })
})

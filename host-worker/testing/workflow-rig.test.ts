import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorkflowRig, type WorkflowRig } from './workflow-rig.ts'

/** A workflow that gives back what the activity that its input names said, or as what it failed. */
const CODE = `
  import * as host from 'resile/workflow'
  export async function askHost({ activity = 'runCommand', ...request }) {
    try {
      return await host[activity](request)
    } catch (error) {
      return { failed: host.failureType(error) }
    }
  }`

let rig: WorkflowRig
beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'resile-rig-test-'))
  await writeFile(join(dir, 'ask-host.ts'), CODE)
  rig = await startWorkflowRig(join(dir, 'ask-host.ts'))
  return () => rm(dir, { recursive: true })
}, 120_000)
afterAll(() => rig?.close())

test('rig: result not given → success', async () => {
  const { result } = await rig.run({ host: { runCommand: () => ({ stdout: 'so' }) } })
  expect(result).toEqual({ exitCode: 0, stdout: 'so', stderr: '', durationMs: 0 })
  const { result: checked } = await rig.run({
    host: { checkHttp: async () => ({ ok: false }) },
    input: { activity: 'checkHttp' },
  })
  expect(checked).toMatchObject({ ok: false, status: 500, durationMs: 0, error: expect.any(String) })
})

test('rig: activity not played → fails at once', async () => {
  const { result, calls } = await rig.run({ host: {} })
  expect(result).toEqual({ failed: 'NotPlayed' })
  expect(calls).toEqual([])
})

test('rig: several hosts → each inspectable', async () => {
  const described = await rig.run({ host: {}, input: { activity: 'describeCommand', name: 'x' } })
  expect(described.result).toMatchObject({ name: 'x', argv: ['x'] })
  expect(described.calls).toEqual([{ activity: 'describeCommand', request: { name: 'x' } }])
  const { result } = await rig.run({ host: {}, input: { activity: 'collectDiagnostics' } })
  expect(result).toMatchObject({ node: 'played' })
})

test("rig: history → replayed, bare or in Temporal's answer", async () => {
  const { history } = await rig.run({ host: {} })
  await rig.replay(history)
  await rig.replay({ history, nextPageToken: null })
  const other = JSON.stringify(history).replaceAll('runCommand', 'runOther')
  await expect(rig.replay({ history: JSON.parse(other) })).rejects.toThrow(/nondeterminism/i)
})

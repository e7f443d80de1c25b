import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { startWorkflowRig, type WorkflowRig } from '../host-worker/testing/workflow-rig.ts'
import { defaultWorkflowType } from '../shared/config.ts'
import { recordedHistories } from './testing/recorded-histories.ts'

const histories = await recordedHistories()
const workflows = (await readdir(import.meta.dirname))
  .filter((file) => file.endsWith('.hcl'))
  .map((file) => file.replace('.hcl', ''))

let rig: WorkflowRig
beforeAll(async () => {
  rig = await startWorkflowRig(
    workflows.map((workflow) => ({
      type: defaultWorkflowType(workflow),
      code: join(import.meta.dirname, `${workflow}.ts`),
    })),
  )
  return () => rig.close()
}, 120_000)

it('recorded histories: each workflow → has one', () => {
  expect([...histories.keys()].sort()).toEqual(workflows.sort())
})

it.each([...histories])('%s: recorded history → replays', async (_, history) => {
  await expect(rig.replay(history)).resolves.toBeUndefined()
})

it('recorded history: changed workflow → does not replay', async () => {
  const other = JSON.stringify(histories.get('drain-node')).replaceAll('drainServer', 'removeServer')
  await expect(rig.replay(JSON.parse(other))).rejects.toThrow(/nondeterminism/i)
})

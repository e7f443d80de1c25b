/** A condition whose trigger was denied for long, and the reason goes: it triggers soon, whatever it was told. */
import { beforeAll, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import type { Decision, Execution, List } from '../support/http.ts'
import { listen } from '../support/http-server.ts'
import { until } from '../support/until.ts'

let isSick = false
let dev: Dev
beforeAll(async () => {
  const port = await listen((_, response) => void response.writeHead(isSick ? 500 : 200).end())
  dev = await startDev({
    project: writeProject({
      'detectors.hcl': `
        detector "sick" {
          workflow = "heal"
          interval = "1s"
          target { datacenter = "dc1" }
          http_check { url = "http://127.0.0.1:${port}/" }
        }`,
      ...napping('heal', 'task_queue_target = "datacenter"'),
    }),
    nodes: ['web-1'],
  })
})

test('frozen for 30 minutes, broken, unfrozen → triggered within half a minute, asked without a record', async () => {
  await dev.resile('freeze', '--for', '30m', '--reason', 'test')
  isSick = true
  const decisions = async (): Promise<Decision[]> => (await dev.call<List<Decision>>('/v1/decisions')).body.items
  await until('the trigger is denied', async () => (await decisions()).some(({ code }) => code === 'frozen'))
  await new Promise((resolve) => setTimeout(resolve, 30_000))
  expect(await decisions()).toHaveLength(1)
  const freezes = await dev.call<List<{ id: string }>>('/v1/freezes')
  const { code } = await dev.resile('unfreeze', freezes.body.items[0]?.id ?? '')
  expect(code).toBe(0)
  const executions = async () => (await dev.call<List<Execution>>('/v1/executions')).body.items
  await until('it has triggered', async () => (await executions()).length === 1, { within: 45_000 })
}, 150_000)

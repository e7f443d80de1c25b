/** Workflow code that can't go on: operators see why within a minute, and what can't be stored fails at once. */
import { beforeAll, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { workflow, writeProject } from '../support/files.ts'
import { receive } from '../support/http-server.ts'
import { startResile } from '../support/processes.ts'
import { until } from '../support/until.ts'

const inDatacenter = 'task_queue_target = "datacenter"'
const escalating = `${inDatacenter}
escalation { receiver = "oncall" }`
const target = { target: { datacenter: 'dc1' } }
const told: { type: string; summary: string }[] = []

let dev: Dev
beforeAll(async () => {
  const port = await receive(told)
  dev = await startDev({
    project: writeProject({
      'coordinator.hcl': `datacenter = "dc1"
receiver "oncall" {
  webhook { url = "http://127.0.0.1:${port}/" }
}
`,
      ...workflow('broken', escalating, 'export async function broken(input) { return input.nothing.there }'),
      ...workflow('large', inDatacenter, "export async function large() { return 'x'.repeat(3_000_000) }"),
      ...workflow(
        'loud',
        inDatacenter,
        `export async function loud() {
          throw ApplicationFailure.nonRetryable('it did not help', 'NotHealthy', { log: 'x'.repeat(3_000_000) })
        }`,
      ),
      ...workflow('cyclic', inDatacenter, 'export async function cyclic() { const a = {}; a.a = a; return a }'),
    }),
    nodes: ['web-1'],
  })
})

test('code that throws → the cause within a minute: execution, metrics, escalation, --wait', async () => {
  const { execution } = await dev.started('broken', target)
  const waiting = startResile(['executions', execution.id, '--wait', '--project', dev.project, '--data', dev.data])
  const seen = await until(
    'the execution has a problem',
    async () => {
      const now = await dev.execution(execution.id)
      return now.error !== null && now
    },
    { within: 60_000 },
  )
  expect(seen).toMatchObject({ status: 'running', error: { type: 'WorkflowTaskFailed' } })
  expect(JSON.stringify(seen.error)).toMatch(/reading 'there'/)
  const { text } = await dev.call('/metrics')
  expect(text).toMatch(/^resile_executions_stuck\{workflow="broken"\} 1$/m)
  await until('the receiver was told', () => told.some(({ type }) => type === 'execution.stuck'))
  expect(told.find(({ type }) => type === 'execution.stuck')?.summary).toMatch(/broken .* makes no progress: .*'there'/)
  await until('--wait says so', () => /stuck .*'there'/.test(waiting.said.stderr))
  waiting.kill('SIGINT')
  await waiting.ended
})

test.each([
  ['result that is too large', 'large', 'ResultNotStorable'],
  ['result that is no JSON', 'cyclic', 'ResultNotStorable'],
  ['failure with details that are too large', 'loud', 'NotHealthy'],
])('%s → failed at once', async (_, name, type) => {
  const { error } = await dev.ran(name, target, 'failed')
  expect(error).toMatchObject({ type })
  expect(JSON.stringify(error).length).toBeLessThan(20_000)
})

/** Attacks with a host's Temporal credential: it can start, terminate and reset anything, but not admit it. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { temporaryDirectory, workflow, writeProject } from '../support/files.ts'
import { type Execution, problem } from '../support/http.ts'
import { limited, onNode } from '../support/limits.ts'
import { resetPast } from '../support/past.ts'
import { startResile } from '../support/processes.ts'
import { readPayload } from '../support/temporal.ts'
import { until } from '../support/until.ts'

/** Sleeps, then changes its host; returns as what a refused change failed. */
const changing = (name: string, hcl: string) =>
  workflow(
    name,
    hcl,
    `const { runCommand } = proxyActivities({ startToCloseTimeout: '30s' })
    export async function ${name}(input) {
      await sleep(input.ms ?? 1)
      try {
        return await runCommand({ name: 'touch', params: { file: input.file } })
      } catch (error) {
        if (!(error instanceof ActivityFailure)) throw error
        return { refused: error.cause?.type, why: error.cause?.message }
      }
    }`,
  )
const single = limited('concurrency', 'value = 1')
const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    command "touch" {
      argv   = ["/bin/touch", "{file}"]
      params = { file = "^[a-z]+$" }
      workflows = ["single", "again", "resumed", "anywhere", "fragile"]
    }`,
  ...changing('single', `${onNode}\n${single}`),
  ...changing('again', onNode),
  ...changing('resumed', `${onNode}\n${single}`),
  ...changing('anywhere', 'task_queue_target = "datacenter"'),
  ...changing('fragile', `${onNode}\n${limited('maxFailure', 'value = 1; period = "1h"')}`),
})
const file = (name: string) => join(project, name)
const target = { node: 'web-1' }

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1'] })
  // A worker of the attacker's, who has the code of the workflows and a queue that no coordinator knows.
  const here = ['--project', project, '--data', join(temporaryDirectory(), 'data')]
  const there = ['--temporal-address', dev.at('temporal'), '--namespace', dev.at('namespace')]
  const identity = ['--node', 'evil-1', '--datacenter', 'evil', '--coordinator', `unix:${dev.file.socket}`]
  const evil = startResile(['worker', ...here, ...there, ...identity, '--workflows'])
  atEnd(async () => {
    evil.kill('SIGTERM')
    await evil.ended
  })
  await until('the attacker polls', () => `${evil.said.stdout}${evil.said.stderr}`.includes('worker_started'))
})
beforeEach(() => {
  for (const name of ['once', 'twice', 'first', 'second']) rmSync(file(name), { force: true })
})

/** Ends an execution and starts it again under its id, with all that it was started with. */
async function rerun({ workflow_id: workflowId }: Execution, type: string, taskQueue: string): Promise<void> {
  const [first] = await dev.temporal.history(workflowId)
  const { header, input } = first?.workflowExecutionStartedEventAttributes ?? {}
  await dev.temporal.terminate(workflowId)
  await dev.temporal.start({
    workflowId,
    type,
    taskQueue,
    timeout: 120,
    input: (input?.payloads ?? []).map(readPayload),
    header: header?.fields ?? {},
  })
}

/** The proof of its admission that an execution has in its memo. */
async function proofOf({ workflow_id }: Execution): Promise<unknown> {
  const [first] = await dev.temporal.history(workflow_id)
  const proof = first?.workflowExecutionStartedEventAttributes?.memo?.fields?.['resile_proof']
  expect(proof).toBeDefined()
  return proof === undefined ? null : readPayload(proof)
}

/** What the current run of an id has returned. */
async function resultOf(workflowId: string): Promise<unknown> {
  const event = await until('the run has ended', async () => {
    const last = (await dev.temporal.history(workflowId)).at(-1)
    return last?.workflowExecutionCompletedEventAttributes === undefined ? false : last
  })
  const payload = event.workflowExecutionCompletedEventAttributes?.result?.payloads?.[0]
  return payload === undefined ? null : readPayload(payload)
}

describe('admitted execution, terminated and started again under its id', () => {
  test.each([
    ["attacker's queue", 'evil'],
    ['queue that it was admitted for', 'dc1'],
  ])('on the %s → changes nothing', async (_, queue) => {
    const { execution } = await dev.started('again', { target, input: { ms: 3000, file: 'once' } })
    await rerun(execution, 'again', queue)
    expect(await resultOf(execution.workflow_id)).toMatchObject({ refused: 'PermitRefused' })
    expect(existsSync(file('once'))).toBe(false)
  })

  test("on the attacker's queue → seen, and counted as open", async () => {
    const { execution } = await dev.started('single', { target, input: { ms: 60_000, file: 'once' } })
    await rerun(execution, 'single', 'evil')
    await until(
      'the coordinator has seen both the end and the second run',
      async () => (await dev.execution(execution.id)).run_id !== execution.run_id,
      { within: 60_000 },
    )
    expect(await dev.execution(execution.id)).toMatchObject({ status: 'running' })
    problem(await dev.start('single', { target, input: { ms: 1, file: 'once' } }), 429, 'constraint_denied')
    await dev.temporal.terminate(execution.workflow_id)
  })
})

test('execution that had ended, reset while another is open → changes nothing until that has ended', async () => {
  const first = await dev.ran('resumed', { target, input: { file: 'first' } })
  rmSync(file('first'))
  const second = await dev.started('resumed', { target, input: { ms: 15_000, file: 'second' } })
  await resetPast(dev, first.workflow_id)
  await until('the second has changed the host', () => existsSync(file('second')) || existsSync(file('first')), {
    within: 60_000,
  })
  expect(existsSync(file('first'))).toBe(false)
  await dev.reaches(second.execution.id, 'completed')
  await until('the first goes on', () => existsSync(file('first')), { within: 60_000 })
})

test('forged memo of an admission → unadmitted, no rows are lost, maxFailure does not count it', async () => {
  const id = '01a1fd87-1ab3-749c-8831-cc78a8e48041'
  const genuine = await dev.ran('fragile', { target, input: { file: 'once' } })
  const memo = { resile: { decision: id, workflow: 'fragile', target }, resile_proof: await proofOf(genuine) }
  await dev.temporal.start({ workflowId: id, type: 'fragile', taskQueue: 'dc1', timeout: 1, memo })
  const metric = async () => (await dev.call('/metrics')).text
  await until('it is counted', async () => /executions_unadmitted_total\{workflow="fragile"\} 1/.test(await metric()), {
    within: 60_000,
  })
  const { status } = await dev.call(`/v1/executions/${id}`)
  expect(status).toBe(404)
  expect(dev.process.said.stdout + dev.process.said.stderr).not.toContain('rows_lost')
  await delay(2000)
  expect((await dev.start('fragile', { target, input: { file: 'once' } })).status).toBeLessThan(300)
})

test('execution without an admission on a queue that no datacenter has → seen', async () => {
  await dev.temporal.start({ workflowId: 'elsewhere', type: 'anywhere', taskQueue: 'nowhere', timeout: 60 })
  const listed = async () => {
    const { body } = await dev.call<{ items: Execution[] }>('/v1/executions')
    return body.items.some(({ workflow_id }) => workflow_id === 'elsewhere')
  }
  await until('it is listed', listed, { within: 60_000 })
})

describe('frozen node', () => {
  test('work for its datacenter → waits, and goes on when the freeze is lifted', async () => {
    const { body } = await dev.call<{ id: string }>('/v1/freezes', {
      body: { scope: { node: 'web-1' }, reason: 'maintenance' },
    })
    const { execution } = await dev.started('anywhere', { input: { file: 'once' } })
    const log = () => dev.process.said.stdout + dev.process.said.stderr
    await delay(6000)
    expect(existsSync(file('once')), log()).toBe(false)
    expect((await dev.execution(execution.id)).status).toBe('running')
    await dev.call(`/v1/freezes/${body.id}`, { method: 'DELETE' })
    await dev.reaches(execution.id, 'completed', { within: 60_000 })
    expect(existsSync(file('once'))).toBe(true)
  })
})

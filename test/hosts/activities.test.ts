/** Where an admitted execution's activities run, and what the activities of every host do. */
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, workflow, writeProject } from '../support/files.ts'
import { type Execution, problem } from '../support/http.ts'
import { listen } from '../support/http-server.ts'
import { freePort } from '../support/ports.ts'

const anywhere = 'task_queue_target = "datacenter"'
const onNode = 'task_queue_target = "node"'
const web1 = { node: 'web-1' }

const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    types = ["web"]
    command "say" {
      argv = ["/bin/echo", "-n", "hello", "{who}", "to={who}"]
      params = { who = "^[a-z ;$()]+$" }
      workflows = ["command"]
    }
    command "environment" {
      argv = ["/usr/bin/env"]
      workflows = [
        "command", "command-near", "command-type", "command-type-near", "command-database", "command-datacenter",
      ]
    }
    command "where" {
      argv = ["/bin/pwd"]
      workflows = ["command"]
    }
    command "complain" {
      argv = ["/bin/sh", "-c", "echo oops >&2; exit 3"]
      workflows = ["command"]
    }
    command "dawdle" {
      argv = ["/bin/sleep", "60"]
      workflows = ["command"]
      timeout = "1s"
    }`,
  ...commanding('command', onNode),
  ...commanding('command-near', `${onNode}\nworkflow_queue = "target"`),
  ...commanding('command-type', 'task_queue_target = "node_type"'),
  ...commanding('command-type-near', 'task_queue_target = "node_type"\nworkflow_queue = "target"'),
  ...commanding('command-database', 'task_queue_target = "node_type:database"'),
  ...commanding('command-datacenter', anywhere),
  ...workflow(
    'check',
    onNode,
    `
    const { checkHttp } = proxyActivities({ startToCloseTimeout: '30s' })
    export async function check(input) { return checkHttp(input) }`,
  ),
})

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1:web', 'db-1:database'] })
})

describe('task queues', () => {
  const environmentOf = (execution: Execution) => {
    const { stdout } = execution.result as { stdout: string }
    return Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=', 2)),
    ) as Record<string, string>
  }

  test.each([
    ['node', 'command', web1, 'web-1', 'dc1:node:web-1', 'dc1'],
    ['another node', 'command', { node: 'db-1' }, 'db-1', 'dc1:node:db-1', 'dc1'],
    ['node with its datacenter', 'command', { node: 'db-1', datacenter: 'dc1' }, 'db-1', 'dc1:node:db-1', 'dc1'],
    ['node, workflow included', 'command-near', web1, 'web-1', 'dc1:node:web-1', 'dc1:node:web-1'],
    ['node type', 'command-type', { node_type: 'web' }, 'web-1', 'dc1:type:web', 'dc1'],
    ['other node type', 'command-type', { node_type: 'database' }, 'db-1', 'dc1:type:database', 'dc1'],
    [
      'node type, workflow included',
      'command-type-near',
      { node_type: 'web' },
      'web-1',
      'dc1:type:web',
      'dc1:type:web',
    ],
    ['fixed node type', 'command-database', undefined, 'db-1', 'dc1:type:database', 'dc1'],
    ['fixed node type, given', 'command-database', { node_type: 'database' }, 'db-1', 'dc1:type:database', 'dc1'],
    ['datacenter', 'command-datacenter', { datacenter: 'dc1' }, /^(web|db)-1$/, 'dc1', 'dc1'],
    ['datacenter by default', 'command-datacenter', undefined, /^(web|db)-1$/, 'dc1', 'dc1'],
  ])('target is %s → activities run on its queue, unasked', async (_, name, target, node, queue, workflowQueue) => {
    const execution = await dev.ran(name, {
      ...(target === undefined ? {} : { target }),
      input: { name: 'environment' },
    })
    expect(execution.task_queue).toBe(queue)
    expect(environmentOf(execution)['RESILE_NODE']).toMatch(node)
    expect(await dev.temporal.activityQueues(execution.id)).toEqual([queue])
    expect(await dev.temporal.describe(execution.id)).toMatchObject({ taskQueue: workflowQueue })
  })

  test.each([
    ['command', {}],
    ['command', { node_type: 'web' }],
    ['command', { datacenter: 'dc1' }],
    ['command', { node: 'web-1', node_type: 'web' }],
    ['command-type', {}],
    ['command-type', { node: 'web-1' }],
    ['command-database', { node_type: 'web' }],
    ['command-database', { node: 'db-1' }],
    ['command-datacenter', { node: 'web-1' }],
    ['command-datacenter', { node_type: 'web' }],
  ])('target that %s does not take, %j → refused', async (name, target) => {
    const { errors } = problem(await dev.start(name, { target, input: { name: 'where' } }), 422, 'invalid_target')
    expect(errors?.[0]?.path).toMatch(/^\/target(\/|$)/)
  })

  test('target missing where one is needed → refused', async () => {
    problem(await dev.start('command', { input: { name: 'where' } }), 422, 'invalid_target')
    problem(await dev.start('command-type', { input: { name: 'where' } }), 422, 'invalid_target')
  })

  test('node or type that nobody serves → no_worker', async () => {
    for (const node of ['nowhere', 'constructor']) {
      const answer = await dev.start('command', { target: { node }, input: { name: 'where' } })
      const { decision } = problem(answer, 503, 'no_worker')
      expect(answer.headers.get('retry-after')).toBe('5')
      expect(decision).toMatchObject({ outcome: 'denied', code: 'no_worker' })
    }
    problem(await dev.start('command-type', { target: { node_type: 'mail' }, input: {} }), 503, 'no_worker')
  })
})

describe('runCommand', () => {
  const resultOf = async (input: unknown) => (await dev.ran('command', { target: web1, input })).result

  test('parameters with shell syntax → passed on literally', async () => {
    const result = await resultOf({ name: 'say', params: { who: 'you; echo $(id)' } })
    expect(result).toEqual({
      exitCode: 0,
      stdout: 'hello you; echo $(id) to=you; echo $(id)',
      stderr: '',
      durationMs: expect.any(Number),
    })
  })

  test('environment → only PATH, HOME, RESILE_NODE and RESILE_EXECUTION_ID', async () => {
    const execution = await dev.ran('command', { target: web1, input: { name: 'environment' } })
    const { stdout } = execution.result as { stdout: string }
    const names = stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=', 1)[0])
    expect(names.sort()).toEqual(['HOME', 'PATH', 'RESILE_EXECUTION_ID', 'RESILE_NODE'])
    expect(stdout).toContain(`RESILE_EXECUTION_ID=${execution.id}`)
  })

  test('working directory → the project', async () => {
    expect(await resultOf({ name: 'where' })).toMatchObject({ stdout: `${project}\n` })
  })

  test('exit code other than 0 → returned, not thrown', async () => {
    expect(await resultOf({ name: 'complain' })).toMatchObject({ exitCode: 3, stdout: '', stderr: 'oops\n' })
  })

  test.each([
    ['CommandNotAllowed', { name: 'rm' }],
    ['CommandNotAllowed', { name: 'constructor' }],
    ['InvalidParams', { name: 'say' }],
    ['InvalidParams', { name: 'say', params: { who: 'YOU' } }],
    ['InvalidParams', { name: 'say', params: { who: 'you\n' } }],
    ['InvalidParams', { name: 'say', params: { who: 'you', whom: 'me' } }],
    ['InvalidParams', { name: 'say', params: { who: 5 } }],
    ['CommandTimeout', { name: 'dawdle' }],
  ])('%s for %j → failure that is not retried', async (type, input) => {
    expect(await resultOf(input)).toEqual({ type, final: true })
  })
})

describe('checkHttp', () => {
  let url: string
  beforeAll(async () => {
    const port = await listen((request, response) => {
      if (request.url === '/slow') return
      response.writeHead(request.url === '/sick' ? 500 : 200).end('ok')
    })
    url = `http://127.0.0.1:${port}`
  })
  const check = async (input: unknown) => (await dev.ran('check', { target: web1, input })).result

  test('answer → ok when the status is the expected one', async () => {
    expect(await check({ url })).toEqual({ ok: true, status: 200, durationMs: expect.any(Number) })
    expect(await check({ url: `${url}/sick` })).toMatchObject({ ok: false, status: 500 })
    expect(await check({ url: `${url}/sick`, expectStatus: 500 })).toMatchObject({ ok: true, status: 500 })
  })

  test('no answer, closed port or no URL → ok false with an error, nothing thrown', async () => {
    expect(await check({ url: `${url}/slow`, timeout: '1s' })).toMatchObject({ ok: false, error: expect.any(String) })
    const closed = `http://127.0.0.1:${await freePort()}/`
    expect(await check({ url: closed })).toMatchObject({ ok: false, error: expect.any(String) })
    expect(await check({ url: 'not a url' })).toMatchObject({ ok: false, error: expect.any(String) })
  })
})

/** Constraints that depend on nodes: `exclusive`, `maxUnavailable`, `maxFailure`. */
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, workflow, writeProject } from '../support/files.ts'
import { type Answer, admitted, type Decision, type Execution, type List, problem } from '../support/http.ts'
import { anywhere, cancel, ended, limited, long, onNode, patient, tally, usesOf } from '../support/limits.ts'
import { resile } from '../support/processes.ts'
import { until } from '../support/until.ts'

/** Does what its input says: naps, or fails. */
const moody = (name: string, hcl: string) =>
  workflow(
    name,
    hcl,
    `export async function ${name}(input) {
      await sleep(input.ms ?? 1)
      if (input.fails) throw ApplicationFailure.nonRetryable('still sick', 'StillSick')
    }`,
  )
const project = writeProject({
  ...napping('nap', onNode),
  ...napping('drain', `${onNode}\n${limited('exclusive')}`),
  ...napping('reboot', `${onNode}\n${limited('exclusive')}`),
  ...napping('elsewhere', anywhere),
  ...napping('type-nap', 'task_queue_target = "node_type:web"'),
  ...napping('tenth', `${onNode}\n${limited('maxUnavailable', 'value = "10%"')}`),
  ...napping('too', `${onNode}\n${limited('maxUnavailable', 'value = 3')}`),
  ...moody('fragile', `${onNode}\n${limited('maxFailure', 'value = 2; period = "1h"')}`),
  ...moody('brief', `${onNode}\n${limited('maxFailure', 'value = 2; period = "5s"')}`),
  ...moody('counted', `${onNode}\ntimeout = "12s"\n${limited('maxFailure', 'value = 3; period = "1h"')}`),
  ...moody('each', `${onNode}\n${limited('maxFailure', 'value = 1; period = "1h"; per = "node"')}`),
})

/** Nodes that have a heartbeat and nothing else; the workflows that are started for them run on the real ones. */
const farm = Array.from({ length: 30 }, (_, index) => `n-${String(index + 1).padStart(2, '0')}`)
const sendingHeartbeats = new Set(farm)
const web1 = { target: { node: 'web-1' } }
const web2 = { target: { node: 'web-2' } }
const failing = { input: { fails: true } }

let dev: Dev
let pulse: NodeJS.Timeout
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1:web', 'web-2:web'] })
  await Promise.all(farm.map(beat))
  pulse = setInterval(() => {
    // If one heartbeat fails, the next one replaces it.
    for (const node of sendingHeartbeats) void beat(node).catch(() => undefined)
  }, 5_000)
})
afterAll(() => clearInterval(pulse))

async function beat(node: string): Promise<void> {
  const queues = [{ name: `dc1:node:${node}`, workflow_types: [], activity_types: ['runCommand'] }]
  const body = { datacenter: 'dc1', types: ['farm'], labels: {}, build_id: 'b', boot_id: node, draining: false, queues }
  await dev.call(`/v1/nodes/${node}`, { method: 'PUT', body: { ...body, closed: [] } })
}

/** The only constraint of a receipt that denies. */
const binding = (decision: Decision | undefined) => {
  const [line, ...others] = decision?.constraints.filter((constraint) => constraint.binding) ?? []
  expect(others).toEqual([])
  return line
}
const denied = (answer: Answer<unknown>) => problem(answer, 429, 'constraint_denied')
/** Starts one, waiting while the coordinator still learns which nodes are live. */
const launched = async (name: string, body: object) =>
  until(
    `${name} is decided`,
    async () => {
      const answer = await dev.start(name, body, patient)
      if (answer.status !== 503) return answer
      problem(answer, 503, 'starting')
      expect(answer.headers.get('retry-after')).toBe('5')
      return false
    },
    { within: 40_000, every: 500 },
  )

describe('exclusive', () => {
  test('two workflows on one node at once → one starts, nothing else there while it is open', async () => {
    const answers = await Promise.all(
      ['drain', 'reboot'].map(async (name) => dev.start(name, { ...web1, ...long }, patient)),
    )
    expect(tally(answers)).toEqual({ 201: 1, 429: 1 })
    const [winner] = answers.filter(({ status }) => status === 201)
    if (winner === undefined) throw new Error('none was admitted')
    const { execution } = admitted(winner)
    for (const name of ['nap', 'drain', 'reboot']) {
      const answer = await dev.start(name, web1)
      expect(answer.headers.has('retry-after')).toBe(false)
      const { decision } = denied(answer)
      expect(decision).toMatchObject({ allowed_at: null, target: { node: 'web-1' } })
      expect(binding(decision)).toMatchObject({ kind: 'exclusive', scope: 'node', allowed: false, allowed_at: null })
    }
    await ended(dev, execution)
    await dev.ran('nap', web1)
  })

  test('other nodes, and targets without a node → admitted', async () => {
    const { execution } = await dev.started('drain', { ...web1, ...long })
    const { execution: second } = await dev.started('reboot', { ...web2, ...long })
    for (const name of ['elsewhere', 'type-nap']) expect((await dev.start(name, {}, patient)).status).toBe(201)
    denied(await dev.start('nap', web2))
    await Promise.all([ended(dev, execution), ended(dev, second)])
  })

  test('execution open on the node → exclusive one denied until it ends', async () => {
    const { execution } = await dev.started('nap', { ...web1, ...long })
    const { decision } = denied(await dev.start('drain', web1))
    expect(binding(decision)).toMatchObject({ kind: 'exclusive', used: 1, allowed: false, allowed_at: null })
    // Executions that are not exclusive may run together.
    await dev.started('nap', web1)
    await ended(dev, execution)
    const turn = await until('it has its turn', async () => {
      const answer = await dev.start('drain', web1, patient)
      return answer.status === 201 && admitted(answer)
    })
    // Until then nothing else is admitted there.
    await dev.reaches(turn.execution.id, 'completed')
  })
})

describe('maxUnavailable', () => {
  test('10% of 30 nodes → three at once, never four', async () => {
    const first = await launched('tenth', { target: { node: 'n-01' }, ...long })
    const others = farm.slice(1).map(async (node) => dev.start('tenth', { target: { node }, ...long }, patient))
    const answers = [first, ...(await Promise.all(others))]
    expect(tally(answers)).toEqual({ 201: 3, 429: 27 })
    for (const answer of answers.filter(({ status }) => status === 429)) {
      const { decision } = denied(answer)
      expect(binding(decision)).toMatchObject({ kind: 'maxUnavailable', limit: 3, used: 3, allowed_at: null })
    }
    expect(await dev.temporal.listOnce('tenth', 3)).toHaveLength(3)
    // Any remediation counts, and those of other types of nodes don't.
    denied(await dev.start('too', { target: { node: 'n-30' } }))
    await dev.started('tenth', { target: { node: 'web-1' } })
    // A node that is already unavailable is not counted twice.
    await dev.started('too', { target: { node: 'n-01' } })
    const open = answers.filter(({ status }) => status === 201).map((answer) => admitted(answer).execution)
    await Promise.all(open.map(async (execution) => ended(dev, execution)))
  })
})

describe.concurrent('while a node dies', () => {
  test('maxUnavailable with one of 30 nodes dead → two more', async () => {
    sendingHeartbeats.delete('n-30')
    const live = async () => (await dev.call<List<{ node: string }>>('/v1/nodes?limit=500')).body.items
    const isDead = async () => !(await live()).some(({ node }) => node === 'n-30')
    await until('n-30 is dead', isDead, { within: 25_000 })
    await twoOfFarm()
  })

  test('maxFailure after the second failure → tripped until an operator resets it', async () => {
    await dev.ran('fragile', { ...web1, ...failing }, 'failed')
    await dev.ran('fragile', web1)
    await dev.ran('fragile', { ...web2, ...failing }, 'failed')
    const answer = await dev.start('fragile', web1)
    const { decision, detail } = denied(answer)
    expect(answer.headers.has('retry-after')).toBe(false)
    expect(detail).toMatch(/fail/i)
    expect(decision).toMatchObject({ allowed_at: null })
    const line = { kind: 'maxFailure', limit: 2, used: 2, allowed: false, allowed_at: null }
    expect(binding(decision)).toMatchObject(line)
    expect(await usesOf(dev, 'fragile')).toMatchObject([line])
    problem(await reset('fragile', {}), 400, 'bad_request')
    problem(await reset('fragile', { reason: 'x', nodes: [] }), 400, 'bad_request')
    problem(await reset('no-such', { reason: 'x' }), 404, 'unknown_workflow')
    denied(await dev.start('fragile', web1))
    expect((await reset('fragile', { reason: 'the disk was changed' })).status).toBeLessThan(300)
    expect(await usesOf(dev, 'fragile')).toMatchObject([{ used: 0, allowed: true }])
    await dev.ran('fragile', { ...web1, ...failing }, 'failed')
    // One failure since: not tripped yet.
    await dev.started('fragile', web1)
  })

  test('maxFailure tripped, period over → still tripped; resile reset lifts it', async () => {
    const both = [web1, web2].map(async (target) => dev.ran('brief', { ...target, ...failing }, 'failed'))
    await Promise.all(both)
    denied(await dev.start('brief', web1))
    await delay(7_000)
    const { decision } = denied(await dev.start('brief', web1))
    expect(decision).toMatchObject({ allowed_at: null })
    expect(await dev.resile('reset', 'brief', '--reason', 'seen to')).toMatchObject({ code: 0 })
    await dev.started('brief', web1)
  })

  test('maxFailure by kind of end → counts failed, timed out and terminated alone', async () => {
    await dev.ran('counted', web1)
    const { execution: unwanted } = await dev.started('counted', { ...web1, input: { ms: 10_000 } })
    await cancel(dev, unwanted.id)
    await dev.reaches(unwanted.id, 'canceled')
    expect(await usesOf(dev, 'counted')).toMatchObject([{ kind: 'maxFailure', used: 0 }])
    await dev.ran('counted', { ...web1, ...failing }, 'failed')
    expect(await usesOf(dev, 'counted')).toMatchObject([{ used: 1 }])
    const { execution: terminated } = await dev.started('counted', { ...web1, ...long })
    await dev.temporal.terminate(terminated.id)
    await Promise.all([
      dev.ran('counted', { ...web2, ...long }, 'timed_out'),
      dev.reaches(terminated.id, 'terminated', { within: 40_000 }),
    ])
    expect(binding(denied(await dev.start('counted', web2)).decision)).toMatchObject({ used: 3, limit: 3 })
  })

  test('maxFailure per node → trips and is reset for that node', async () => {
    await Promise.all([web1, web2].map(async (target) => dev.ran('each', { ...target, ...failing }, 'failed')))
    const [one] = [denied(await dev.start('each', web1)), denied(await dev.start('each', web2))]
    expect(binding(one.decision)).toMatchObject({ kind: 'maxFailure', scope: 'node', limit: 1, used: 1 })
    expect((await reset('each', { reason: 'web-1 is well', node: 'web-1' })).status).toBeLessThan(300)
    await dev.started('each', web1)
    denied(await dev.start('each', web2))
    // Without a node, all are reset.
    expect((await reset('each', { reason: 'all are well' })).status).toBeLessThan(300)
    await dev.started('each', web2)
  })
})

test('maxUnavailable: coordinator killed → 503 until it knows the nodes again', async () => {
  const coordinator = dev.pid('coordinator')
  kill(coordinator, 'SIGKILL')
  await until('it is another process', () => !dev.pids('coordinator').includes(coordinator))
  await until('it answers', async () => (await dev.call('/readyz')).status === 200, { within: 60_000 })
  await twoOfFarm()
  // What had tripped stays tripped.
  expect(binding(denied(await dev.start('counted', web2)).decision)).toMatchObject({ kind: 'maxFailure' })
})

test('node constraints: mistakes in HCL → resile check reports errors', async () => {
  const mistakes: Record<string, string> = {
    'no-node': `${anywhere}\n${limited('exclusive')}`,
    'no-node-either': `task_queue_target = "node_type"\n${limited('maxUnavailable', 'value = 1')}`,
    'exclusive-value': `${onNode}\n${limited('exclusive', 'value = 1')}`,
    'exclusive-global': `${onNode}\n${limited('exclusive', 'is_global = true')}`,
    'none-unavailable': `${onNode}\n${limited('maxUnavailable', 'value = 0')}`,
    'unavailable-period': `${onNode}\n${limited('maxUnavailable', 'value = 1; period = "1h"')}`,
    'unavailable-per': `${onNode}\n${limited('maxUnavailable', 'value = 1; per = "node"')}`,
    'failure-for-ever': `${onNode}\n${limited('maxFailure', 'value = 1')}`,
    'no-failure': `${onNode}\n${limited('maxFailure', 'value = 0; period = "1h"')}`,
    'failure-global': `${onNode}\n${limited('maxFailure', 'value = 1; period = "1h"; is_global = true')}`,
    'percent-of-failures': `${onNode}\n${limited('maxFailure', 'value = "10%"; period = "1h"')}`,
  }
  const files = Object.fromEntries(
    Object.entries(mistakes).flatMap(([name, hcl]) => Object.entries(napping(name, hcl))),
  )
  const { code, stdout } = await resile(['check', '--json', '--project', writeProject(files)])
  expect(code).toBe(1)
  const { errors } = JSON.parse(stdout) as { errors: { file: string }[] }
  const blamed = new Set(errors.map(({ file }) => file))
  expect([...blamed].sort()).toEqual(
    Object.keys(mistakes)
      .map((name) => `workflows/${name}.hcl`)
      .sort(),
  )
})

async function reset(name: string, body: unknown): Promise<Answer<unknown>> {
  return dev.call(`/v1/workflows/${name}/reset`, { body })
}

/** With one node dead, exactly two more are admitted, however many are triggered at once; both are ended again. */
async function twoOfFarm(): Promise<void> {
  const first = await launched('tenth', { target: { node: 'n-01' }, ...long })
  const others = farm.slice(1, 12).map(async (node) => dev.start('tenth', { target: { node }, ...long }, patient))
  const answers = [first, ...(await Promise.all(others))]
  expect(tally(answers)).toEqual({ 201: 2, 429: 10 })
  const open: Execution[] = answers.filter(({ status }) => status === 201).map((answer) => admitted(answer).execution)
  await Promise.all(open.map(async (execution) => ended(dev, execution)))
}

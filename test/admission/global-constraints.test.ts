/** Constraints that are counted over all datacenters, checked against Temporal's own list. */
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { type Answer, admitted, type Decision, type Execution, problem, type Started } from '../support/http.ts'
import { anywhere, atOnce, ended, limited, long, patient, tally, usesOf } from '../support/limits.ts'
import { until } from '../support/until.ts'

const datacenters = ['ams', 'fra'] as const
const project = writeProject({
  'coordinator.hcl': 'datacenters = ["ams", "fra"]\n',
  ...napping('quota', `${anywhere}\n${limited('maxExecution', 'value = 5; period = "1h"; is_global = true')}`),
  ...napping('single', `${anywhere}\n${limited('concurrency', 'value = 1; is_global = true')}`),
  ...napping('keyed', `${anywhere}\n${limited('maxExecution', 'value = 2; period = "1h"; is_global = true')}`),
  // Constraints per datacenter and over all datacenters together.
  ...napping(
    'mixed',
    `${anywhere}
    ${limited('maxExecution', 'value = 1; period = "1h"')}
    ${limited('maxExecution', 'value = 3; period = "1h"; is_global = true')}`,
  ),
})

let dev: Dev
const launch = async (data?: string) =>
  startDev({ project, nodes: ['web-1:web@ams', 'web-2:web@fra'], ...(data === undefined ? {} : { data }) })
beforeAll(async () => {
  dev = await launch()
})

const there = (datacenter: string, body: object = {}) => ({ target: { datacenter }, ...body })
const bindings = ({ constraints }: Decision) => constraints.filter(({ binding }) => binding)
const executionIn = ({ body }: Answer<unknown>) => {
  const found = body as Execution | Started
  return 'execution' in found ? found.execution : found
}

describe('maxExecution', () => {
  test('200 concurrent starts over two datacenters, 5 allowed → exactly 5 start', async () => {
    const asked = Array.from({ length: 200 }, async (_, index) =>
      dev.start('quota', there(datacenters[index % 2] ?? ''), patient),
    )
    const answers = await Promise.all(asked)
    expect(tally(answers)).toEqual({ 201: 5, 429: 195 })
    const ids = answers.filter(({ status }) => status === 201).map((answer) => admitted(answer).execution.id)
    const runs = await dev.temporal.listOnce('quota', 5)
    expect(runs.map(({ workflowId }) => workflowId).sort()).toEqual(ids.sort())
    const decisions = answers.map(({ body }) => (body as Started).decision)
    for (const datacenter of datacenters) {
      const here = decisions.filter((decision) => decision.datacenter === datacenter)
      expect(here).toHaveLength(100)
      expect(here.flatMap(({ constraints }) => constraints.map(({ scope }) => scope))).toEqual(here.map(() => 'global'))
    }
    for (const answer of answers.filter(({ status }) => status === 429)) {
      const { decision } = problem(answer, 429, 'constraint_denied')
      if (decision === undefined) throw new Error('a denial without its decision')
      expect(bindings(decision)).toMatchObject([{ kind: 'maxExecution', limit: 5, used: 5, allowed: false }])
      expect(decision).toMatchObject({ outcome: 'denied', allowed_at: expect.any(String), constraints: [{}] })
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(3_500)
    }
  })

  test('admitted starts → receipts with the usage of both datacenters', async () => {
    const { body } = await dev.call<{ items: Decision[] }>('/v1/decisions?workflow=quota&outcome=admitted')
    const used = body.items.map(({ constraints }) => constraints.map((constraint) => constraint.used))
    expect(used.flat().sort()).toEqual([0, 1, 2, 3, 4])
  })

  test('workflow shown → usage of all datacenters', async () => {
    const use = { kind: 'maxExecution', scope: 'global', limit: 5, used: 5, allowed: false }
    expect(await usesOf(dev, 'quota')).toMatchObject([use])
  })

  test("evaluation in one datacenter → counts the other's usage", async () => {
    for (const datacenter of datacenters) {
      const { body } = await dev.call<{ decision: Decision }>('/v1/workflows/quota/evaluate', {
        body: there(datacenter),
      })
      expect(body.decision).toMatchObject({
        id: null,
        outcome: 'denied',
        datacenter,
        constraints: [{ scope: 'global', used: 5, limit: 5, binding: true }],
      })
    }
  })

  test('with a datacenter limit beside it → both hold', async () => {
    await dev.started('mixed', there('ams'))
    const { decision } = problem(await dev.start('mixed', there('ams')), 429, 'constraint_denied')
    expect(decision?.constraints).toMatchObject([
      { scope: 'datacenter', limit: 1, used: 1, allowed: false, binding: true },
      { scope: 'global', limit: 3, used: 1, allowed: true, binding: false },
    ])
    // A denial used nothing in either datacenter.
    const { decision: second } = await dev.started('mixed', there('fra'))
    expect(second.constraints).toMatchObject([
      { scope: 'datacenter', used: 0 },
      { scope: 'global', used: 1 },
    ])
  })
})

test('concurrency: one open over both datacenters → others denied until it ends', async () => {
  const racing = datacenters.flatMap((datacenter) => Array.from({ length: 5 }, () => there(datacenter, long)))
  const answers = await Promise.all(racing.map(async (body) => dev.start('single', body, patient)))
  expect(tally(answers)).toEqual({ 201: 1, 429: 9 })
  const [winner] = answers.filter(({ status }) => status === 201)
  if (winner === undefined) throw new Error('none was admitted')
  const { execution } = admitted(winner)
  const other = execution.datacenter === 'ams' ? 'fra' : 'ams'
  const { decision } = problem(await dev.start('single', there(other)), 429, 'constraint_denied')
  expect(decision).toMatchObject({
    datacenter: other,
    allowed_at: null,
    constraints: [{ kind: 'concurrency', scope: 'global', limit: 1, used: 1, allowed_at: null, binding: true }],
  })
  await ended(dev, execution)
  const next = await until('the other datacenter has its turn', async () => {
    const answer = await dev.start('single', there(other, long), patient)
    return answer.status !== 429 && answer
  })
  const { execution: second } = admitted(next)
  problem(await dev.start('single', there(execution.datacenter)), 429, 'constraint_denied')
  await ended(dev, second)
})

test('Idempotency-Key: 20 concurrent starts under a global limit → one execution', async () => {
  const headers = { ...patient, 'idempotency-key': 'twenty' }
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => dev.start('keyed', there('fra', { reason: 'once' }), headers)),
  )
  expect(tally(answers)).toEqual({ 200: 19, 201: 1 })
  expect(new Set(answers.map((answer) => executionIn(answer).id)).size).toBe(1)
  expect(await usesOf(dev, 'keyed')).toMatchObject([{ scope: 'global', used: 1, limit: 2 }])
  expect(await dev.temporal.listOnce('keyed', 1)).toHaveLength(1)
})

describe('after a restart', () => {
  beforeAll(async () => {
    expect(await dev.stop()).toMatchObject({ code: 0 })
    dev = await launch(dev.data)
  })

  test('global window → as before', async () => {
    for (const datacenter of datacenters) {
      const answer = await until(`${datacenter} decides`, async () => {
        const answer = await dev.start('quota', there(datacenter), atOnce)
        return answer.status !== 503 && answer
      })
      const { decision } = problem(answer, 429, 'constraint_denied')
      expect(decision?.constraints).toMatchObject([{ scope: 'global', used: 5, limit: 5, binding: true }])
    }
    expect(await usesOf(dev, 'quota')).toMatchObject([{ scope: 'global', used: 5 }])
    expect(await dev.temporal.list('quota')).toHaveLength(5)
  })

  test('Idempotency-Key → still known', async () => {
    const headers = { ...patient, 'idempotency-key': 'twenty' }
    const again = await dev.start('keyed', there('fra', { reason: 'once' }), headers)
    expect(again.status).toBe(200)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
  })
})

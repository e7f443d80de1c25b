/**
 * What a ledger counts when its configuration changed, when it lost its disk or was given an old one, and when somebody
 * did something to executions past it. Temporal is another `resile dev`'s, so that the data of the one under test can go.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, temporaryDirectory, workflow, writeProject } from '../support/files.ts'
import { type Answer, admitted, type Execution, type List, problem } from '../support/http.ts'
import { anywhere, limited, long, onNode, patient, usesOf } from '../support/limits.ts'
import { cancelPast, deletePast, resetPast, startPast } from '../support/past.ts'
import { gone } from '../support/processes.ts'
import { until } from '../support/until.ts'

const single = limited('concurrency', 'value = 1')
const hourly = (value: number, more = '') => limited('maxExecution', `value = ${value}; period = "1h"; ${more}`)
const failing = (hcl: string) =>
  workflow('fail', hcl, "export async function fail() { throw ApplicationFailure.nonRetryable('no') }")

/** Workflows whose constraints change later, and how. */
const before = {
  ...napping('lowered', `${anywhere}\n${hourly(5)}`),
  ...napping('lengthened', `${anywhere}\n${limited('maxExecution', 'value = 2; period = "2s"')}`),
  ...napping('globalised', `${anywhere}\n${hourly(3)}`),
  ...napping('narrowed', `${anywhere}\n${hourly(9)}`),
  ...napping('unlimited', onNode),
  ...failing(onNode),
}
const after = {
  ...napping('lowered', `${anywhere}\n${hourly(2)}`),
  ...napping('lengthened', `${anywhere}\n${hourly(4)}`),
  ...napping('globalised', `${anywhere}\n${hourly(3, 'is_global = true')}`),
  ...napping('narrowed', `${anywhere}\n${limited('concurrency', 'value = 1; is_global = true')}`),
  ...napping('unlimited', `${onNode}\n${hourly(2, 'per = "node"')}`),
  ...failing(`${onNode}\n${limited('maxFailure', 'value = 2; period = "1h"')}`),
}
const project = writeProject({
  'coordinator.hcl': 'datacenters = ["ams", "fra"]\n',
  ...before,
  ...napping('newer', `${anywhere}\n${hourly(2)}`),
  ...napping('nap', anywhere),
  ...napping('terminated', `${anywhere}\n${single}`),
  ...napping('cancelled', `${anywhere}\n${single}`),
  ...napping('brief', `${anywhere}\ntimeout = "2s"\n${single}`),
  ...napping('removed', `${anywhere}\n${single}`),
  ...napping('removed-later', `${anywhere}\n${hourly(1)}`),
  ...napping('again', `${anywhere}\n${single}`),
  ...workflow(
    'rolling',
    `${anywhere}\n${single}`,
    `export async function rolling(input, run) {
      await sleep(500)
      if (input.left > 0) await continueAsNew({ left: input.left - 1 }, run)
      await sleep(300_000)
    }`,
  ),
})
const inAms = { target: { datacenter: 'ams' } }
const inFra = { target: { datacenter: 'fra' } }
const web1 = { target: { node: 'web-1' } }

let temporal: Dev
let dev: Dev
const launch = async (data: string) => {
  const flags = ['--temporal-address', temporal.at('temporal'), '--temporal-http', temporal.at('temporal_http')]
  return startDev({ project, data, nodes: ['web-1@ams', 'web-2@fra'], flags })
}
beforeAll(async () => {
  temporal = await startDev({ project: writeProject({}), temporal: 'own', flags: ['--no-workers'] })
  dev = await launch(temporaryDirectory())
})

const used = async (name: string) => (await usesOf(dev, name)).map((use) => use.used)
const executionsOf = async (name: string) =>
  (await dev.call<List<Execution>>(`/v1/executions?workflow=${name}&limit=500`)).body.items
/** The answer to a start as soon as the coordinator decides again; an earlier admission is returned too. */
const decided = async (name: string, body: object): Promise<Answer<unknown>> =>
  until(
    `a start of ${name} is decided`,
    async () => {
      const answer = await dev.start(name, body, patient)
      return answer.status !== 503 && answer
    },
    { within: 60_000, every: 250 },
  )
/** A start that must be denied, by this constraint. */
const denied = async (name: string, body: object, line: object) => {
  const { decision } = problem(await decided(name, body), 429, 'constraint_denied')
  expect(decision?.constraints).toMatchObject([{ ...line, binding: true, allowed: false }])
}
const freed = async (name: string) => {
  await until(`${name} may run again`, async () => (await used(name)).every((count) => count === 0), { within: 45_000 })
  await dev.started(name, { ...inAms, ...long })
}

function empty(directory: string): void {
  rmSync(directory, { recursive: true })
  mkdirSync(directory)
}

/** Where the coordinator stores its ledgers. */
const ledgers = () => join(dev.data, 'coordinator', 'objects')

/** Kills a process of `resile dev`, and changes something before it is restarted. */
async function without(of: Dev, role: string, change: () => void): Promise<void> {
  const pid = of.pid(role)
  const supervisor = of.file.pid
  kill(supervisor, 'SIGSTOP')
  try {
    kill(pid, 'SIGKILL')
    await gone([pid], 10_000)
    change()
  } finally {
    kill(supervisor, 'SIGCONT')
  }
  await until('it is another process', () => !of.pids(role).includes(pid))
  await until('it answers', async () => (await dev.call('/healthz')).status === 200, { within: 60_000 })
}

/** The one that continued as new; it is looked at again when its earlier runs have long been asked about. */
let rolling: string

describe.concurrent('change made in Temporal itself', () => {
  test('terminated → ended, its place is free', async () => {
    const { execution } = await dev.started('terminated', { ...inAms, ...long })
    await dev.temporal.terminate(execution.id)
    expect(await dev.reaches(execution.id, 'terminated', { within: 45_000 })).toMatchObject({ result: null })
    await freed('terminated')
  })

  test('canceled → ended, its place is free', async () => {
    const { execution } = await dev.started('cancelled', { ...inAms, ...long })
    await cancelPast(temporal, execution.id)
    expect(await dev.reaches(execution.id, 'canceled', { within: 45_000 })).toMatchObject({ result: null })
    await freed('cancelled')
  })

  test('timed out → ended, its place is free', async () => {
    const { execution } = await dev.started('brief', { ...inAms, ...long })
    expect(await dev.reaches(execution.id, 'timed_out', { within: 45_000 })).toMatchObject({ result: null })
    await freed('brief')
  })

  test('continued as new → stays open whatever its run', async () => {
    const { execution } = await dev.started('rolling', { ...inAms, input: { left: 3 } })
    const runs = async () => (await dev.temporal.list('rolling')).length === 4
    await until('it has its last run', runs)
    rolling = execution.id
  })

  test('deleted while running → ended; deleted after its end → as it was', async () => {
    const { execution: later } = await dev.started('removed-later', inAms)
    await dev.reaches(later.id, 'completed')
    await deletePast(temporal, later.id)
    const { execution } = await dev.started('removed', { ...inAms, ...long })
    await deletePast(temporal, execution.id)
    await until('Temporal has forgotten it', async () => (await dev.temporal.describe(execution.id)) === undefined)
    await freed('removed')
    expect((await dev.execution(execution.id)).closed_at).not.toBeNull()
    expect(await dev.execution(later.id)).toMatchObject({ status: 'completed', result: { slept: 0 } })
    problem(await dev.start('removed-later', inAms), 429, 'constraint_denied')
  })

  test('reset after its end → running again, and counted', async () => {
    const { execution } = await dev.started('again', { ...inAms, ...long })
    await until('it has begun', async () => (await dev.temporal.history(execution.id)).length > 4)
    await dev.temporal.terminate(execution.id)
    await dev.reaches(execution.id, 'terminated', { within: 45_000 })
    await resetPast(temporal, execution.id)
    const runs = async () => (await dev.execution(execution.id)).status === 'running'
    await until('it is seen to run again', runs, { within: 65_000, every: 500 })
    expect(await dev.execution(execution.id)).toMatchObject({ closed_at: null, result: null })
    await denied('again', inAms, { kind: 'concurrency', used: 1 })
  })

  test('started there → listed, and counted by a metric', async () => {
    await startPast(temporal, 'by-hand', 'nap', 'fra', long.input)
    const byHand = await until(
      'it is listed',
      async () => {
        const { body } = await dev.call<List<{ workflow_id: string }>>('/v1/executions?limit=500')
        return body.items.find(({ workflow_id }) => workflow_id === 'by-hand')
      },
      { within: 65_000, every: 500 },
    )
    expect(byHand).toMatchObject({ id: null, workflow_id: 'by-hand', datacenter: 'fra', status: 'running' })
    const { text } = await dev.call('/metrics')
    expect(text).toMatch(/^resile_executions_unadmitted_total(\{[^}]*\})? 1$/m)
  })
})

describe('ledger started again', () => {
  const ran = new Map<string, string[]>()
  let backup: string
  /** Starts an execution that must be found again, whatever happens. */
  const run = async (name: string, body: object) => {
    const { execution } = await dev.started(name, body)
    ran.set(name, [...(ran.get(name) ?? []), execution.id])
    return execution
  }
  /** What ran, judged by the constraints of `after`. */
  const countsWhatRan = async () => {
    await denied('lowered', inAms, { kind: 'maxExecution', used: 3, limit: 2 })
    await denied('lengthened', inAms, { kind: 'maxExecution', used: 4, limit: 4 })
    await denied('globalised', inAms, { scope: 'global', used: 3, limit: 3 })
    await denied('globalised', inFra, { scope: 'global', used: 3, limit: 3 })
    await denied('narrowed', inFra, { kind: 'concurrency', scope: 'global', used: 1, limit: 1 })
    await denied('unlimited', web1, { kind: 'maxExecution', scope: 'node', used: 2, limit: 2 })
    await denied('fail', web1, { kind: 'maxFailure', used: 2, limit: 2 })
  }
  const listsWhatRan = async () => {
    for (const [name, expected] of ran) {
      const listed = (await executionsOf(name)).map(({ id }) => id)
      expect({ name, listed: listed.sort() }).toEqual({ name, listed: expected.sort() })
    }
  }

  beforeAll(async () => {
    const failures: Execution[] = []
    for (const _ of [1, 2]) {
      await run('lengthened', inAms)
      await run('unlimited', web1)
      await run('globalised', inAms)
      failures.push(await run('fail', web1))
    }
    for (const _ of [1, 2, 3]) await run('lowered', inAms)
    await run('globalised', inFra)
    await run('narrowed', { ...inAms, ...long })
    await delay(2_500)
    for (const _ of [1, 2]) await run('lengthened', inAms)
    for (const { id } of failures) await dev.reaches(id, 'failed')
    expect(await dev.stop()).toMatchObject({ code: 0 })
    backup = temporaryDirectory()
    cpSync(ledgers(), backup, { recursive: true })
    for (const [name, text] of Object.entries(after)) writeFileSync(join(project, name), text)
    dev = await launch(dev.data)
  })

  test('with other limits → counts what really ran', async () => {
    await countsWhatRan()
    await listsWhatRan()
    await denied('rolling', inAms, { kind: 'concurrency', used: 1 })
    expect(await dev.execution(rolling)).toMatchObject({ status: 'running', closed_at: null })
  })

  test('with an old backup → admits nothing beyond the limits', async () => {
    for (const _ of [1, 2]) await run('newer', inFra)
    await without(dev, 'coordinator', () => {
      rmSync(ledgers(), { recursive: true })
      cpSync(backup, ledgers(), { recursive: true })
    })
    await denied('newer', inFra, { kind: 'maxExecution', used: 2, limit: 2 })
    await countsWhatRan()
    await listsWhatRan()
    expect(await dev.temporal.list('newer')).toHaveLength(2)
  })

  test('without data → admits nothing beyond the limits, lists what ran', async () => {
    await without(dev, 'coordinator', () => empty(ledgers()))
    const racing = [inAms, inFra].flatMap((target) => Array.from({ length: 5 }, () => target))
    for (const name of ['newer', 'lowered', 'globalised', 'narrowed']) {
      const limited = name === 'newer' ? [inFra] : name === 'lowered' ? [inAms] : racing
      const answers = await Promise.all(limited.map(async (body) => dev.start(name, body)))
      for (const { status } of answers) expect([429, 503]).toContain(status)
    }
    await denied('newer', inFra, { kind: 'maxExecution', used: 2, limit: 2 })
    await countsWhatRan()
    await listsWhatRan()
    for (const [name, ids] of ran) {
      const known = await Promise.all(ids.map(async (id) => dev.execution(id)))
      const runs = await Promise.all(ids.map(async (id) => dev.temporal.describe(id)))
      expect(known.map(({ status }) => status.toUpperCase())).toEqual(runs.map((run) => run?.status))
      expect(known.map(({ workflow_id }) => workflow_id)).toEqual(ids)
      expect(known.every(({ workflow }) => workflow === name)).toBe(true)
    }
  })

  test('with another Temporal → lost executions count until an operator settles them', async () => {
    const [lost = ''] = ran.get('narrowed') ?? []
    await without(temporal, 'temporal', () => empty(join(temporal.data, 'temporal')))
    await temporal.temporal.isBack()
    await until('it is lost', async () => (await dev.execution(lost)).status === 'lost', { within: 60_000 })
    await denied('narrowed', inFra, { kind: 'concurrency', scope: 'global', used: 1, limit: 1 })
    await denied('lowered', inAms, { kind: 'maxExecution', used: 3, limit: 2 })
    const settle = async (id: string, body: object) => dev.call(`/v1/executions/${id}/settle`, { body })
    problem(await settle(lost, { status: 'terminated' }), 400, 'bad_request')
    problem(await settle(lost, { status: 'running', reason: 'x' }), 400, 'bad_request')
    expect((await settle(lost, { status: 'terminated', reason: 'Temporal was set up anew' })).status).toBeLessThan(300)
    expect(await dev.execution(lost)).toMatchObject({ status: 'terminated', closed_at: expect.any(String) })
    const next = await until('its place is free', async () => {
      const answer = await dev.start('narrowed', { ...inFra, ...long }, patient)
      return answer.status !== 429 && admitted(answer)
    })
    const { execution } = next
    // Temporal knows this one.
    expect((await settle(execution.id, { status: 'completed', reason: 'x' })).status).toBe(409)
    expect(await dev.execution(execution.id)).toMatchObject({ status: 'running' })
  })
})

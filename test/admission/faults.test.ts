import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, napping, writeProject } from '../support/files.ts'
import { admitted, type ConstraintUse, type Execution, problem, type Started } from '../support/http.ts'
import { type Line, layLine } from '../support/line.ts'
import { newNamespace } from '../support/shared-temporal.ts'
import { stays, until } from '../support/until.ts'

const anywhere = 'task_queue_target = "datacenter"'
const names = ['killed', 'killed-waiting', 'stopped', 'abandoned', 'brief', 'restarted', 'crowd', 'unwaited', 'nap']
const once = 'constraint {\n  kind = "maxExecution"\n  value = 1\n  period = "24h"\n}'
const project = writeProject(Object.fromEntries(names.flatMap((name) => Object.entries(napping(name, anywhere)))))
const long = { input: { ms: 300_000 } }
const atOnce = { prefer: 'wait=0' }

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1'], temporal: 'own' })
})

/** A start that was admitted without waiting for Temporal. */
const startedAtOnce = async (name: string, body: unknown = long) => admitted(await dev.start(name, body, atOnce), 202)

/** Runs within 30 s, exactly once, according to both the coordinator and Temporal. */
async function runsOnce(started: Started): Promise<Execution> {
  const { id, workflow } = started.execution
  const execution = await dev.reaches(id, 'running', { within: 30_000 })
  const type = workflow.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
  const run = await dev.temporal.describe(id)
  expect(run).toMatchObject({ type, status: 'RUNNING', runId: execution.run_id })
  const runs = (await dev.temporal.listOnce(type, 1)).filter(({ workflowId }) => workflowId === id)
  expect(runs).toMatchObject([{ runId: execution.run_id }])
  return execution
}

const cancel = async (of: Dev, { execution }: Started) => {
  expect((await of.call(`/v1/executions/${execution.id}/cancel`, { body: {} })).status).toBe(202)
}
/** What Temporal shows of a start that must not run: its id occupied by a void, or how it ended. */
async function fateOf({ execution }: Started): Promise<string | undefined> {
  const run = await dev.temporal.describe(execution.id)
  return run?.type === execution.workflow ? run.status : 'VOID'
}

/** Waits until an execution was admitted this long ago: nothing reports when it is void. */
async function delayedBy({ execution }: Started, ms: number): Promise<void> {
  await delay(Math.max(0, Date.parse(execution.admitted_at) + ms - Date.now()))
}

test('start: Prefer: wait=0 → 202 as soon as the admission is durable, and it runs once', async () => {
  const answer = await dev.start('unwaited', long, atOnce)
  const started = admitted(answer, 202)
  expect(['pending', 'running']).toContain(started.execution.status)
  await runsOnce(started)
})

describe('Temporal killed with SIGKILL', () => {
  test('start while Temporal is down → 202, runs once within 30 s after Temporal is back', async () => {
    kill(dev.pid('temporal'), 'SIGKILL')
    const first = await startedAtOnce('killed')
    // This request waits, so Temporal may be back before it is answered.
    const second = await dev.start('killed-waiting', long)
    expect([201, 202]).toContain(second.status)
    await dev.temporal.isBack()
    await runsOnce(first)
    await runsOnce(admitted(second, second.status))
    expect(await dev.temporal.list('killed')).toHaveLength(1)
    expect(await dev.temporal.list('killedWaiting')).toHaveLength(1)
  })

  test('execution that ran before → completes', async () => {
    const { execution } = await dev.started('nap', { input: { ms: 3_000 } })
    kill(dev.pid('temporal'), 'SIGKILL')
    expect(await dev.reaches(execution.id, 'completed', { within: 90_000 })).toMatchObject({ result: { slept: 3_000 } })
  })
})

describe('Temporal silent for 15 s', () => {
  test('starts → 202 after 2 s, run once afterwards; expired and canceled ones never run', async () => {
    const pid = dev.pid('temporal')
    kill(pid, 'SIGSTOP')
    const frozenAt = Date.now()
    let started: Started
    let others: [Started, Started]
    try {
      const brief = await startedAtOnce('brief', { ...long, valid_for: '2s' })
      const sent = Date.now()
      started = admitted(await dev.start('stopped', long), 202)
      expect(Date.now() - sent).toBeGreaterThan(1_500)
      expect(Date.now() - sent).toBeLessThan(6_000)
      expect(started.execution.status).toBe('pending')
      const unwanted = await startedAtOnce('abandoned')
      await cancel(dev, unwanted)
      others = [brief, unwanted]
      // Temporal's state is reported, and is no reason not to be ready.
      expect((await dev.call('/readyz')).status).toBe(200)
      const isPending = async () => (await dev.execution(started.execution.id)).status === 'pending'
      await stays('the start is pending', isPending, 15_000 - (Date.now() - frozenAt))
    } finally {
      kill(pid, 'SIGCONT')
    }
    await dev.temporal.isBack()
    await runsOnce(started)
    expect((await dev.temporal.list('stopped')).map(({ workflowId }) => workflowId)).toEqual([started.execution.id])
    // A start may have waited in Temporal's socket all the time. If it was void by then, it did nothing.
    const [brief, unwanted] = others
    expect(await dev.reaches(brief.execution.id, 'expired', { within: 40_000 })).toMatchObject({ result: null })
    expect(['VOID', 'FAILED']).toContain(await fateOf(brief))
    expect(await dev.reaches(unwanted.execution.id, 'canceled', { within: 40_000 })).toMatchObject({ result: null })
    expect(['VOID', 'CANCELED']).toContain(await fateOf(unwanted))
  })
})

describe('connection to Temporal broken', () => {
  let line: Line
  let far: Dev
  beforeAll(async () => {
    const temporal = await newNamespace()
    line = await layLine(temporal.httpUrl)
    const project = writeProject({
      'worker.hcl': `node = "web-1"
        datacenter = "dc1"
        command "leave-a-trace" {
          argv = ["/usr/bin/touch", "{file}"]
          workflows = ["late"]
          params = { file = "^[a-z]+$" }
        }`,
      ...napping('brief', `${anywhere}\n${once}`),
      ...napping('abandoned', anywhere),
      ...commanding('late', anywhere),
    })
    far = await startDev({ project, temporal: { ...temporal, httpUrl: line.url } })
  })
  const startedAtOnceFar = async (name: string, body: unknown) => admitted(await far.start(name, body, atOnce), 202)

  test('start expired or canceled before it is back → never runs', async () => {
    line.cut()
    const brief = await startedAtOnceFar('brief', { ...long, valid_for: '2s' })
    // It counts as long as it may still start.
    problem(await far.start('brief'), 429, 'constraint_denied')
    const unwanted = await startedAtOnceFar('abandoned', long)
    await cancel(far, unwanted)
    await delayedBy(brief, 3_000)
    await line.restore()
    const expired = await far.reaches(brief.execution.id, 'expired', { within: 40_000 })
    expect(expired).toMatchObject({ run_id: null, result: null, closed_at: expect.any(String) })
    await far.reaches(unwanted.execution.id, 'canceled', { within: 40_000 })
    const nothingRan = async () => {
      const runs = [...(await far.temporal.list('brief')), ...(await far.temporal.list('abandoned'))]
      return runs.length === 0
    }
    await stays('neither ever ran', nothingRan, 3_000)
  })

  test('start proven void → counts for no limit', async () => {
    const { body } = await far.call<{ constraints: ConstraintUse[] }>('/v1/workflows/brief')
    expect(body.constraints).toMatchObject([{ kind: 'maxExecution', limit: 1, used: 0 }])
    await far.started('brief')
    problem(await far.start('brief'), 429, 'constraint_denied')
  })

  test('start that arrives after it was voided → runs no command', async () => {
    line.hold()
    const input = { name: 'leave-a-trace', params: { file: 'void' } }
    const late = await startedAtOnceFar('late', { input, valid_for: '2s' })
    await until('the start is on its way', () => line.heldStarts > 0)
    await delayedBy(late, 4_000)
    await line.restore()
    const ended = async () => (await far.execution(late.execution.id)).closed_at !== null
    await until('it has ended', ended, { within: 40_000 })
    expect(existsSync(join(far.project, 'void'))).toBe(false)
    expect(await far.execution(late.execution.id)).toMatchObject({ status: 'expired' })
  })

  test('start that arrives after a cancel request → status agrees with Temporal and with what ran', async () => {
    line.hold()
    const input = { name: 'leave-a-trace', params: { file: 'canceled' } }
    const late = await startedAtOnceFar('late', { input })
    await until('the start is on its way', () => line.heldStarts > 0)
    await cancel(far, late)
    await line.restore()
    const { status } = await until('it has ended', async () => {
      const execution = await far.execution(late.execution.id)
      return execution.closed_at !== null && execution
    })
    const run = await far.temporal.describe(late.execution.id)
    const hasRun = run?.type === 'late'
    expect(status).toBe(hasRun ? run.status.toLowerCase() : 'canceled')
    // The cancellation may come before the command, while it runs, or after it: the history shows which.
    const events = hasRun ? await far.temporal.history(late.execution.id) : []
    const has = (type: string) => events.some(({ eventType }) => eventType === `EVENT_TYPE_ACTIVITY_TASK_${type}`)
    const possible = has('COMPLETED') ? [true] : has('SCHEDULED') ? [true, false] : [false]
    expect(possible).toContain(existsSync(join(far.project, 'canceled')))
  })
})

describe('coordinator killed with SIGKILL', () => {
  const isBack = async () => {
    await until('the coordinator answers', async () => (await dev.call('/readyz')).status === 200, { within: 60_000 })
    // Nodes are unknown until their first heartbeat.
    const known = async () => (await dev.call<{ items: unknown[] }>('/v1/nodes')).body.items.length > 0
    await until('the worker is known again', known, { within: 30_000 })
  }

  test('killed right after a 202 → the execution runs once within 30 s', async () => {
    const coordinator = dev.pid('coordinator')
    const started = await startedAtOnce('restarted')
    kill(coordinator, 'SIGKILL')
    await until('it is another process', () => !dev.pids('coordinator').includes(coordinator))
    await isBack()
    await runsOnce(started)
    expect(await dev.temporal.list('restarted')).toHaveLength(1)
  })

  test('killed amid 40 starts → acknowledged ones run, all can be repeated by key without a second run', async () => {
    const coordinator = dev.pid('coordinator')
    const ask = async (key: number) => dev.start('crowd', long, { ...atOnce, 'idempotency-key': `crowd-${key}` })
    const asked = Array.from({ length: 40 }, async (_, key) => ask(key).catch(() => undefined))
    await Promise.race(asked)
    kill(coordinator, 'SIGKILL')
    const answers = await Promise.all(asked)
    await until('it is another process', () => !dev.pids('coordinator').includes(coordinator))
    await isBack()
    const acknowledged = answers.flatMap((answer) =>
      answer?.status === 202 ? [admitted(answer, 202).execution.id] : [],
    )
    expect(acknowledged.length).toBeGreaterThan(0)
    const again = await Promise.all(answers.map((_, key) => ask(key)))
    const ids = again.map(({ status, body }) => {
      expect([200, 201, 202]).toContain(status)
      const found = body as Started | Execution
      return 'execution' in found ? found.execution.id : found.id
    })
    expect(new Set(ids).size).toBe(40)
    expect(ids).toEqual(expect.arrayContaining(acknowledged))
    const runs = await dev.temporal.listOnce('crowd', 40)
    expect(runs.map(({ workflowId }) => workflowId).sort()).toEqual(ids.sort())
  })
})

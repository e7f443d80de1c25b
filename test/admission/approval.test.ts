/** Workflows that await approval, and those in shadow mode. */
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { type Answer, type Decision, type List, problem, rfc3339, type Started } from '../support/http.ts'
import { anywhere, atOnce, cancel, ended, limited, long, onNode, usesOf } from '../support/limits.ts'
import { until } from '../support/until.ts'

const approve = 'mode = "approve"'
const shadow = 'mode = "shadow"'
const once = limited('maxExecution', 'value = 1; period = "1h"')
const project = writeProject({
  ...napping('asking', `${anywhere}\n${approve}\n${limited('maxExecution', 'value = 50; period = "1h"')}`),
  ...napping('rare', `${anywhere}\n${approve}\n${once}`),
  ...napping('alone', `${onNode}\n${approve}\n${limited('exclusive')}`),
  ...napping('brief', `${anywhere}\n${approve}\nvalid_for = "3s"`),
  ...napping('by-command', `${anywhere}\n${approve}`),
  ...napping('never', `${anywhere}\n${approve}\n${limited('maxExecution', 'value = 0; period = "1h"')}`),
  ...napping('imagined', `${anywhere}\n${shadow}\n${once}`),
  ...napping('never-imagined', `${anywhere}\n${shadow}\n${limited('maxExecution', 'value = 0; period = "1h"')}`),
  ...napping('imagined-there', `${onNode}\n${shadow}\n${limited('exclusive')}`),
  ...napping('nap', onNode),
})
const web1 = { target: { node: 'web-1' } }

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1:web'] })
})

/** A start that is answered 202 without having been admitted. */
const held = async (name: string, outcome: string, body: object = {}, headers: Record<string, string> = {}) => {
  const answer = await dev.start(name, body, headers)
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 202 })
  const started = answer.body as Started
  expect(started).toMatchObject({
    decision: { outcome, code: null, workflow: name },
    execution: { id: started.decision.id, status: outcome, run_id: null, started_at: null, result: null },
  })
  expect(answer.headers.get('location')).toBe(`/v1/executions/${started.execution.id}`)
  return started
}
const waiting = async (name: string, body: object = {}, headers: Record<string, string> = {}) =>
  held(name, 'awaiting_approval', body, headers)
const say = async (verb: string, { execution }: Started, body: unknown = {}): Promise<Answer<unknown>> =>
  dev.call(`/v1/executions/${execution.id}/${verb}`, { body })
const used = async (name: string) => (await usesOf(dev, name)).map((use) => use.used)
const absent = async (type: string) => expect(await dev.temporal.list(type)).toEqual([])
const statusOf = async ({ execution }: Started) => (await dev.execution(execution.id)).status

/** Approves an execution, which must then be admitted. */
const approved = async (started: Started) => {
  const answer = await say('approve', started, { reason: 'looks right' })
  expect({ ok: answer.status < 300, text: answer.text }).toMatchObject({ ok: true })
  return dev.reaches(started.execution.id, 'running')
}

describe('mode approve', () => {
  test('started → awaits approval, nothing in Temporal, nothing counted', async () => {
    const started = await waiting('asking', { ...long, reason: 'sick' })
    expect(await used('asking')).toEqual([0])
    expect(await dev.temporal.describe(started.execution.id)).toBeUndefined()
    await absent('asking')
    const { body } = await dev.call<List<unknown>>('/v1/executions?status=awaiting_approval&workflow=asking')
    expect(body.items).toMatchObject([{ id: started.execution.id, closed_at: null }])
    const { body: decision } = await dev.call<Decision>(`/v1/decisions/${started.decision.id}`)
    expect(decision).toMatchObject({ outcome: 'awaiting_approval', reason: 'sick' })
  })

  test('approved → runs once, a second approval is refused', async () => {
    const started = await waiting('asking', long)
    const before = await used('asking')
    const answers = await Promise.all(Array.from({ length: 5 }, async () => say('approve', started)))
    const [approval, ...others] = answers.sort((a, b) => a.status - b.status)
    expect(approval?.status).toBeLessThan(300)
    for (const answer of others) problem(answer, 409, 'not_awaiting_approval')
    const execution = await dev.reaches(started.execution.id, 'running')
    const runs = (await dev.temporal.listOnce('asking', 1)).filter(({ workflowId }) => workflowId === execution.id)
    expect(runs).toMatchObject([{ runId: execution.run_id }])
    expect(await used('asking')).toEqual(before.map((count) => count + 1))
    for (const verb of ['approve', 'reject']) problem(await say(verb, started), 409, 'not_awaiting_approval')
    // Nothing starts without a recorded admission.
    const { body } = await dev.call<List<Decision>>('/v1/decisions?workflow=asking&outcome=admitted')
    expect(body.items).toMatchObject([{ code: null, constraints: [{ used: before[0], allowed: true }] }])
    await ended(dev, execution)
    problem(await say('approve', started), 409, 'not_awaiting_approval')
  })

  test('rejected → never runs', async () => {
    const started = await waiting('asking', long)
    expect((await say('reject', started, { reason: 'not now' })).status).toBeLessThan(300)
    const execution = await dev.execution(started.execution.id)
    expect(execution).toMatchObject({ status: 'rejected', run_id: null, closed_at: expect.stringMatching(rfc3339) })
    problem(await say('approve', started), 409, 'not_awaiting_approval')
    problem(await say('reject', started), 409, 'not_awaiting_approval')
    problem(await cancel(dev, execution.id), 409, 'already_closed')
    expect(await dev.temporal.describe(execution.id)).toBeUndefined()
  })

  test('canceled → never runs', async () => {
    const started = await waiting('asking', long)
    expect((await cancel(dev, started.execution.id)).status).toBe(202)
    await dev.reaches(started.execution.id, 'canceled')
    problem(await say('approve', started), 409, 'not_awaiting_approval')
    expect(await dev.temporal.describe(started.execution.id)).toBeUndefined()
  })

  test('limit used up by then → approval denied, it still waits', async () => {
    const [first, second, third] = [await waiting('rare'), await waiting('rare'), await waiting('rare')]
    // They are admitted by their limits as they are now, not by those of the time that they were asked for.
    expect(await used('rare')).toEqual([0])
    expect((await say('approve', first)).status).toBeLessThan(300)
    const answer = await say('approve', second)
    const { decision } = problem(answer, 429, 'constraint_denied')
    expect(decision).toMatchObject({
      outcome: 'denied',
      constraints: [{ kind: 'maxExecution', limit: 1, used: 1, binding: true }],
    })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(3_500)
    expect(await statusOf(second)).toBe('awaiting_approval')
    expect((await say('reject', second)).status).toBeLessThan(300)
    expect(await statusOf(third)).toBe('awaiting_approval')
    expect(await dev.temporal.listOnce('rare', 1)).toHaveLength(1)
  })

  test('many approved at once → no more admitted than the limit', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, async () => waiting('alone', { ...web1, ...long })))
    // Waiting executions occupy nothing: others are admitted, and while one of those is open, approval is denied.
    const blocker = await dev.started('nap', { ...web1, ...long })
    for (const started of all.slice(0, 2)) problem(await say('approve', started), 429, 'constraint_denied')
    await ended(dev, blocker.execution)
    const answers = await Promise.all(all.map(async (started) => say('approve', started)))
    const admitted = answers.filter(({ status }) => status < 300)
    expect(admitted).toHaveLength(1)
    for (const answer of answers.filter(({ status }) => status >= 300)) problem(answer, 429, 'constraint_denied')
    const statuses = await Promise.all(all.map(statusOf))
    expect(statuses.filter((status) => status === 'awaiting_approval')).toHaveLength(7)
    for (const started of all) await cancel(dev, started.execution.id)
    await until('the node is free', async () => (await dev.start('nap', web1)).status === 201)
  })

  test('approved under a freeze → refused', async () => {
    const started = await waiting('asking', long)
    const { body: freeze } = await dev.call<{ id: string }>('/v1/freezes', {
      body: { scope: { workflow: 'asking' }, reason: 'peak hours' },
    })
    problem(await say('approve', started), 423, 'frozen')
    expect(await statusOf(started)).toBe('awaiting_approval')
    await dev.call(`/v1/freezes/${freeze.id}`, { method: 'DELETE' })
    await approved(started)
  })

  test('would be denied anyway → denied at once', async () => {
    problem(await dev.start('never'), 429, 'constraint_denied')
    problem(await dev.start('alone', { target: { node: 'nowhere' } }), 503, 'no_worker')
  })

  test('valid_for over → expired, never runs', async () => {
    const started = await waiting('brief')
    await delay(3_000)
    const gone = await dev.reaches(started.execution.id, 'expired', { within: 30_000 })
    expect(gone).toMatchObject({ run_id: null, closed_at: expect.stringMatching(rfc3339) })
    problem(await say('approve', started), 409, 'not_awaiting_approval')
    const late = await waiting('asking', { valid_for: '1s' })
    await delay(2_000)
    problem(await say('approve', late), 409, 'not_awaiting_approval')
    await absent('brief')
  })

  test('Idempotency-Key of a waiting one → found', async () => {
    const headers = { 'idempotency-key': 'waits' }
    const started = await waiting('asking', {}, headers)
    const again = await dev.start('asking', {}, headers)
    expect(again.status).toBe(200)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.text).toContain(started.execution.id)
  })

  test('evaluated → awaiting_approval', async () => {
    const { body } = await dev.call<{ decision: Decision }>('/v1/workflows/asking/evaluate', { body: {} })
    expect(body.decision).toMatchObject({ id: null, outcome: 'awaiting_approval', code: null })
  })

  test('approve or reject of what never waited or is unknown → 409 or 404', async () => {
    const ran = await dev.started('nap', web1)
    for (const verb of ['approve', 'reject']) {
      problem(await say(verb, ran), 409, 'not_awaiting_approval')
      const path = `/v1/executions/01912d68-783e-7a03-8467-5661c1243ad4/${verb}`
      problem(await dev.call(path, { body: {} }), 404, 'not_found')
    }
    const started = await waiting('asking')
    problem(await say('approve', started, { because: 'x' }), 400, 'bad_request')
    problem(await say('approve', started, { reason: 5 }), 400, 'bad_request')
    expect(await statusOf(started)).toBe('awaiting_approval')
  })

  test('resile approve, resile reject → approved, rejected', async () => {
    const [first, second] = [await waiting('by-command'), await waiting('by-command')]
    const yes = await dev.resile('approve', first.execution.id, '--reason', 'fine')
    expect(yes).toMatchObject({ code: 0 })
    await dev.reaches(first.execution.id, 'completed')
    expect(await dev.resile('reject', second.execution.id)).toMatchObject({ code: 0 })
    expect(await statusOf(second)).toBe('rejected')
    expect(await dev.resile('approve', second.execution.id)).toMatchObject({ code: 1 })
    const [third] = (await dev.call<List<{ id: string }>>('/v1/executions?workflow=rare&status=awaiting_approval')).body
      .items
    expect(await dev.resile('approve', third?.id ?? '')).toMatchObject({ code: 3 })
  })
})

describe('mode shadow', () => {
  test('started → shadowed, nothing in Temporal, nothing counted', async () => {
    const started = await held('imagined', 'shadowed', long)
    expect(started.decision.constraints).toMatchObject([{ kind: 'maxExecution', used: 0, allowed: true }])
    // It occupies nothing, so the next trigger gets the same answer.
    await held('imagined', 'shadowed', long, atOnce)
    expect(await used('imagined')).toEqual([0])
    const { body } = await dev.call<List<Decision>>('/v1/decisions?outcome=shadowed&workflow=imagined')
    expect(body.items).toHaveLength(2)
    await absent('imagined')
    problem(await cancel(dev, started.execution.id), 409, 'already_closed')
    problem(await say('approve', started), 409, 'not_awaiting_approval')
  })

  test('exclusive → keeps nobody from the node', async () => {
    await held('imagined-there', 'shadowed', { ...web1, ...long })
    expect(await dev.ran('nap', web1)).toMatchObject({ status: 'completed' })
  })

  test('would be denied → denied', async () => {
    const { decision } = problem(await dev.start('never-imagined'), 429, 'constraint_denied')
    expect(decision).toMatchObject({ outcome: 'denied', constraints: [{ limit: 0, binding: true }] })
    problem(await dev.start('imagined-there', { target: { node: 'nowhere' } }), 503, 'no_worker')
  })
})

test('metrics: after approvals and shadows → counted by outcome', async () => {
  const { text } = await dev.call('/metrics')
  expect(text).toMatch(/^resile_decisions_total\{[^}]*workflow="imagined"[^}]*outcome="shadowed"[^}]*\} 2$/m)
  expect(text).toMatch(/^resile_decisions_total\{[^}]*workflow="rare"[^}]*outcome="awaiting_approval"[^}]*\} 3$/m)
  expect(text).toMatch(/^resile_decisions_total\{[^}]*workflow="rare"[^}]*outcome="admitted"[^}]*\} 1$/m)
  expect(text).toMatch(/^resile_executions_open\{[^}]*workflow="asking"[^}]*\} \d+$/m)
})

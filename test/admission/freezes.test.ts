/** Freezes: what they cover, for how long, and that nothing starts under one, pending starts included. */
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { type Answer, admitted, type Decision, type List, problem, rfc3339, type Started } from '../support/http.ts'
import { anywhere, atOnce, limited, long, onNode, patient, usesOf } from '../support/limits.ts'
import { type Line, layLine } from '../support/line.ts'
import { newNamespace } from '../support/shared-temporal.ts'
import { stays, until } from '../support/until.ts'

interface Freeze {
  id: string
  scope: { workflow?: string; datacenter?: string; node?: string }
  reason: string
  expires_at: string | null
}

const twoDatacenters = 'datacenters = ["ams", "fra"]\n'
const project = writeProject({
  'coordinator.hcl': twoDatacenters,
  ...napping('nap', anywhere),
  ...napping('node-nap', onNode),
  ...napping('other-nap', onNode),
  ...napping('used-up', `${anywhere}\n${limited('maxExecution', 'value = 0; period = "1h"')}`),
  ...napping('waiting', anywhere),
  ...napping('too-late', `${anywhere}\n${limited('maxExecution', 'value = 1; period = "1h"')}`),
  ...napping('running', anywhere),
})
const web1 = { target: { node: 'web-1' } }
const web2 = { target: { node: 'web-2' } }

let dev: Dev
let line: Line
beforeAll(async () => {
  const temporal = await newNamespace()
  line = await layLine(temporal.httpUrl)
  dev = await startDev({
    project,
    nodes: ['web-1:web@ams', 'web-2:web@fra'],
    temporal: { ...temporal, httpUrl: line.url },
  })
})

const ask = async (body: unknown) => dev.call<Freeze>('/v1/freezes', { body })
const frozen = async (scope: Freeze['scope'], more: Record<string, string> = {}): Promise<Freeze> => {
  const answer = await ask({ scope, reason: 'peak hours', ...more })
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 201 })
  return answer.body
}
const lift = async ({ id }: { id: string }) => dev.call(`/v1/freezes/${id}`, { method: 'DELETE' })
const listed = async () => (await dev.call<List<Freeze>>('/v1/freezes')).body.items
// Freezes left by a failed test must not fail the next ones.
afterEach(async () => {
  for (const freeze of await listed()) await lift(freeze)
})
/** Whether the trigger was denied by a freeze; any other answer than that or an admission is an error. */
const isFrozen = (answer: Answer<unknown>) => {
  if (answer.status === 423) problem(answer, 423, 'frozen')
  else expect([201, 202]).toContain(answer.status)
  return answer.status === 423
}

describe('scopes', () => {
  const starts: [string, object][] = [
    ['node-nap', web1],
    ['node-nap', web2],
    ['other-nap', web1],
    ['nap', {}],
    ['nap', { target: { datacenter: 'fra' } }],
  ]
  test.each<[Freeze['scope'], boolean[]]>([
    [{}, [true, true, true, true, true]],
    [{ workflow: 'node-nap' }, [true, true, false, false, false]],
    [{ node: 'web-1' }, [true, false, true, false, false]],
    [{ datacenter: 'fra' }, [false, true, false, false, true]],
    [{ workflow: 'node-nap', node: 'web-1' }, [true, false, false, false, false]],
    [{ workflow: 'node-nap', datacenter: 'ams' }, [true, false, false, false, false]],
    [{ workflow: 'nap', datacenter: 'fra' }, [false, false, false, false, true]],
    [{ workflow: 'other-nap', datacenter: 'fra', node: 'web-1' }, [false, false, false, false, false]],
  ])('scope %j → covers starts that match all of its keys', async (scope, expected) => {
    const freeze = await frozen(scope)
    expect(freeze.scope).toEqual(scope)
    const answers = await Promise.all(starts.map(async ([name, body]) => dev.start(name, body, patient)))
    expect(answers.map(isFrozen)).toEqual(expected)
    expect((await lift(freeze)).status).toBe(204)
    expect(isFrozen(await dev.start('node-nap', web1))).toBe(false)
  })
})

describe('start under a freeze', () => {
  test('with an end → 423 with the freeze and Retry-After, recorded, nothing counted', async () => {
    const freeze = await frozen({ workflow: 'nap' }, { for: '1h' })
    const answer = await dev.start('nap', { reason: 'try' })
    const { decision, detail } = problem(answer, 423, 'frozen')
    expect(detail).toContain('peak hours')
    expect(decision).toMatchObject({
      outcome: 'denied',
      code: 'frozen',
      workflow: 'nap',
      reason: 'try',
      allowed_at: freeze.expires_at,
    })
    expect(JSON.stringify(decision?.freeze)).toContain(freeze.id)
    const wait = Number(answer.headers.get('retry-after'))
    expect(wait).toBeGreaterThan(3_500)
    expect(wait).toBeLessThanOrEqual(3_600)
    expect((await dev.call<Decision>(`/v1/decisions/${decision?.id}`)).body).toEqual(decision)
    const { body } = await dev.call<List<Decision>>('/v1/decisions?workflow=nap&code=frozen&limit=1')
    expect(body.items.map(({ id }) => id)).toEqual([decision?.id])
    await lift(freeze)
  })

  test('without an end → 423 without Retry-After', async () => {
    const freeze = await frozen({ workflow: 'nap' })
    expect(freeze.expires_at).toBeNull()
    const answer = await dev.start('nap')
    expect(problem(answer, 423, 'frozen').decision).toMatchObject({ allowed_at: null })
    expect(answer.headers.has('retry-after')).toBe(false)
    await lift(freeze)
  })

  test('limit used up, or no worker → freeze before limit, no_worker before freeze', async () => {
    const freeze = await frozen({})
    problem(await dev.start('used-up'), 423, 'frozen')
    problem(await dev.start('node-nap', { target: { node: 'nowhere' } }), 503, 'no_worker')
    const evaluated = await dev.call<{ decision: Decision }>('/v1/workflows/nap/evaluate', { body: {} })
    expect(evaluated.status).toBe(200)
    expect(evaluated.body.decision).toMatchObject({ id: null, outcome: 'denied', code: 'frozen' })
    await lift(freeze)
    problem(await dev.start('used-up'), 429, 'constraint_denied')
  })

  test('replay of a key admitted before → the execution', async () => {
    const headers = { ...patient, 'idempotency-key': 'before-the-freeze' }
    const { execution } = admitted(await dev.start('nap', {}, headers))
    const freeze = await frozen({})
    const again = await dev.start('nap', {}, headers)
    expect(again.status).toBe(200)
    expect(again.text).toContain(execution.id)
    await lift(freeze)
  })

  test('execution that runs already → completes', async () => {
    const { execution } = await dev.started('running', { input: { ms: 1_500 } })
    const freeze = await frozen({})
    expect(await dev.reaches(execution.id, 'completed')).toMatchObject({ result: { slept: 1_500 } })
    await lift(freeze)
  })
})

describe('freeze', () => {
  test('two set → listed newest first, gone when lifted', async () => {
    const first = await frozen({ workflow: 'nap' })
    const second = await frozen({ node: 'web-1' }, { for: '90m' })
    expect(await listed()).toEqual([second, first])
    expect(second).toMatchObject({ id: expect.any(String), expires_at: expect.stringMatching(rfc3339) })
    expect(Math.abs(Date.parse(second.expires_at ?? '') - Date.now() - 90 * 60_000)).toBeLessThan(60_000)
    for (const { id } of [first, second]) {
      expect((await lift({ id })).status).toBe(204)
      problem(await lift({ id }), 404, 'not_found')
    }
    expect(await listed()).toEqual([])
  })

  test('expires_at reached → starts are admitted again', async () => {
    const until_ = new Date(Date.now() + 3_000).toISOString()
    const freeze = await frozen({ workflow: 'nap' }, { expires_at: until_ })
    expect(freeze.expires_at).toBe(until_)
    const answer = await dev.start('nap')
    problem(answer, 423, 'frozen')
    expect(['1', '2', '3']).toContain(answer.headers.get('retry-after'))
    const over = await until('it is over', async () => {
      const sent = Date.now()
      return !isFrozen(await dev.start('nap', {}, patient)) && sent
    })
    expect(over).toBeGreaterThan(Date.parse(until_) - 1_000)
    expect(over - Date.parse(until_)).toBeLessThan(3_000)
    expect(await listed()).toEqual([])
  })

  test.each<[string, unknown]>([
    ['no scope', { reason: 'x' }],
    ['no reason', { scope: {} }],
    ['a scope that is none', { scope: 'nap', reason: 'x' }],
    ['an unknown key in the scope', { scope: { node_type: 'web' }, reason: 'x' }],
    ['an unknown field', { scope: {}, reason: 'x', until: '2030-01-01T00:00:00.000Z' }],
    ['a name that is none', { scope: { workflow: 'No Name' }, reason: 'x' }],
    ['a number for a name', { scope: { node: 5 }, reason: 'x' }],
    ['two ends', { scope: {}, reason: 'x', for: '1h', expires_at: '2100-01-01T00:00:00.000Z' }],
    ['an end that has passed', { scope: {}, reason: 'x', expires_at: '2020-01-01T00:00:00.000Z' }],
    ['an end that is no time', { scope: {}, reason: 'x', expires_at: 'tomorrow' }],
    ['no time at all', { scope: {}, reason: 'x', for: '0s' }],
    ['a duration that is none', { scope: {}, reason: 'x', for: 'an hour' }],
    ['a list', []],
    ['no JSON', '{'],
  ])('%s → bad_request, nothing frozen', async (_, body) => {
    problem(await ask(body), 400, 'bad_request')
    expect(await listed()).toEqual([])
  })

  test('unknown id or method → 404 or 405', async () => {
    for (const id of ['01912d68-783e-7a03-8467-5661c1243ad4', 'no-id']) problem(await lift({ id }), 404, 'not_found')
    const answer = await dev.call('/v1/freezes', { method: 'PUT', body: {} })
    problem(answer, 405, 'method_not_allowed')
    expect(answer.headers.get('allow')).toMatch(/POST/)
  })
})

test('resile freeze, freezes, unfreeze: set, listed, lifted → a trigger in between exits with 3', async () => {
  const made = await dev.resile('freeze', '--workflow', 'nap', '--reason', 'peak hours', '--for', '1h', '--json')
  expect(made).toMatchObject({ code: 0 })
  const freeze = JSON.parse(made.stdout) as Freeze
  expect(freeze).toMatchObject({ scope: { workflow: 'nap' }, reason: 'peak hours' })
  const denied = await dev.resile('trigger', 'nap')
  expect(denied.code).toBe(3)
  expect(denied.stdout + denied.stderr).toContain('peak hours')
  expect((await dev.resile('freezes')).stdout).toContain(freeze.id)
  expect(await dev.resile('unfreeze', freeze.id)).toMatchObject({ code: 0 })
  expect(await dev.resile('unfreeze', freeze.id)).toMatchObject({ code: 1 })
  expect(await dev.resile('trigger', 'nap')).toMatchObject({ code: 0 })
  expect((await dev.resile('freeze', '--for', 'an hour', '--reason', 'x')).code).toBeGreaterThan(0)
  expect(await listed()).toEqual([])
})

describe('start pending when the freeze comes', () => {
  const startedAtOnce = async (name: string, more: object = {}): Promise<Started> =>
    admitted(await dev.start(name, { ...long, ...more }, atOnce), 202)
  const neverSeen = async (type: string) => (await dev.temporal.list(type)).length === 0

  /** A start that was sent before the freeze can't be recalled: it is lost before the connection works again. */
  const underWayIsOver = async () => delay(500)

  test('freeze lifted later → starts; valid_for over before → expired', async () => {
    line.cut()
    const waiting = await startedAtOnce('waiting')
    const late = await startedAtOnce('too-late', { valid_for: '8s' })
    const freeze = await frozen({ datacenter: 'ams' })
    await underWayIsOver()
    await line.restore()
    await stays('nothing starts', async () => (await neverSeen('waiting')) && (await neverSeen('tooLate')), 6_000)
    expect(await dev.execution(waiting.execution.id)).toMatchObject({ status: 'pending', closed_at: null })
    const expired = await dev.reaches(late.execution.id, 'expired', { within: 40_000 })
    expect(expired).toMatchObject({ run_id: null, result: null, closed_at: expect.stringMatching(rfc3339) })
    // It never started.
    expect((await usesOf(dev, 'too-late')).map(({ used }) => used)).toEqual([0, 0])
    expect((await lift(freeze)).status).toBe(204)
    await dev.reaches(waiting.execution.id, 'running', { within: 30_000 })
    expect((await dev.temporal.listOnce('waiting', 1)).map(({ workflowId }) => workflowId)).toEqual([
      waiting.execution.id,
    ])
    expect(await neverSeen('tooLate')).toBe(true)
  })

  test('freeze expires → starts; canceled under it → canceled', async () => {
    line.cut()
    const waiting = await startedAtOnce('waiting')
    const unwanted = await startedAtOnce('too-late')
    await frozen({}, { for: '4s' })
    await underWayIsOver()
    await line.restore()
    expect((await dev.call(`/v1/executions/${unwanted.execution.id}/cancel`, { body: {} })).status).toBe(202)
    await dev.reaches(unwanted.execution.id, 'canceled')
    await delay(1_000)
    await dev.reaches(waiting.execution.id, 'running', { within: 30_000 })
    expect(await neverSeen('tooLate')).toBe(true)
  })
})

test('freeze: coordinator killed → still holds', async () => {
  const freeze = await frozen({})
  const coordinator = dev.pid('coordinator')
  kill(coordinator, 'SIGKILL')
  await until('it is another process', () => !dev.pids('coordinator').includes(coordinator))
  await until('it answers', async () => (await dev.call('/readyz')).status === 200, { within: 60_000 })
  expect(await listed()).toEqual([freeze])
  const known = async () => (await dev.call<List<unknown>>('/v1/nodes')).body.items.length === 2
  await until('its nodes are known', known)
  problem(await dev.start('nap'), 423, 'frozen')
  await lift(freeze)
  await dev.started('nap')
})

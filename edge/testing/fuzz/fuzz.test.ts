/** Anything at all sent to the endpoints: whatever comes, the answer is one that the contract knows, and nothing wrong starts. */
import { createExecutionContext, env } from 'cloudflare:test'
import compiled from 'resile:config'
import fc from 'fast-check'
import pTimeout from 'p-timeout'
import { afterEach, expect, it, vi } from 'vitest'
import { documentSchema } from '../../../shared/config.ts'
import { isName } from '../../../shared/names.ts'
import { decodedPath } from '../../../shared/path.ts'
import { problemSchema } from '../../../shared/wire.ts'
import { createApp } from '../../app.ts'
import { PROBLEM_STATUSES, type ProblemCode } from '../../http/problem.ts'
import { request, sendHeartbeats } from '../coordinator.ts'
import { cleanUp } from '../fresh.ts'
import { FakeTemporal } from '../temporal.ts'
import { SECRET, signedByPagerDuty, signedBySlack } from '../webhook.ts'
import { anyMessage, anyRequest, type FuzzedRequest } from './requests.ts'
import { anySignal, type FuzzedSignal } from './signals.ts'

/** Requests between two fresh starts, so that no earlier one freezes or fills everything for all that follow. */
const BATCH = 250
/** Most milliseconds for a batch, so that of a failure at least some counterexample is shown. */
const MAX_BATCH_MS = 50_000
/** Most milliseconds for an answer: `Prefer: wait` apart, nothing waits for long here. */
const ANSWER_TIMEOUT_MS = 40_000

/** What an answer says of a trigger that took too long on a busy machine: it may be admitted afterwards. */
const NOT_DECIDED_YET = /was not decided in time|is not decided yet/

/** What the answers of a batch said: the executions that they named, and how many triggers were left undecided. */
interface Batch {
  admitted: Set<string>
  undecided: number
}

const base = compiled as { coordinator: object }
const webhook = {
  ci: { secret_env: 'HOOK' },
  short: { secret_env: 'SHORT' },
  pager: { secret_env: 'PAGER', format: 'pagerduty' },
}
const slack = { signing_secret_env: 'SLACK', response_prefix: 'http://slack.test/' }
const detectors = {
  full: { workflow: 'free', target: { node: '${labels.host}' }, pagerduty: { title: '^full on (?P<host>.*)$' } },
  sick: { workflow: 'free', target: { node: '${labels.subject}' }, cloudevent: { type: 'sick' } },
  alerted: {
    workflow: 'typed',
    target: { node: 'web-1' },
    input: { unit: '${labels.unit}' },
    alert: { labels: { alertname: 'Sick' } },
  },
}
const SECRETS = { PAGER: 'a secret of PagerDuty', SLACK: 'a secret of Slack' }
const bindings = { ...(env as unknown as Record<string, unknown>), HOOK: SECRET, SHORT: 'AAAA', ...SECRETS }

function appWith(coordinator: object): ReturnType<typeof createApp> {
  return createApp(
    documentSchema.parse({ ...base, coordinator: { ...base.coordinator, webhook, slack, ...coordinator }, detectors }),
    'network',
  )
}

/** One that lets everyone pass, and one where anonymous callers may read alone. */
const APPS = {
  open: appWith({}),
  ruled: appWith({
    server_config: {
      enable_tls: true,
      requests_per_second: 1_000_000,
      route_rule: [
        { name: 'read', method: 'GET', route_patterns: ['/*'], allow_public: true },
        { name: 'hook', method: 'POST', route_patterns: ['/v1/triggers/webhook/*'], uris: ['webhook:ci'] },
        {
          name: 'start',
          method: 'POST',
          route_patterns: ['/v1/workflows/free/executions'],
          uris: ['webhook:ci', 'webhook:pager', 'slack:T1/U1'],
        },
        { name: 'others', method: 'POST', route_patterns: ['/v1/triggers/*'], uris: ['webhook:pager', 'slack:T1/*'] },
      ],
    },
  }),
} as const
type AppName = keyof typeof APPS

afterEach(cleanUp)

it.each([
  ['requests', anyRequest],
  ['signed messages', anyMessage],
  ['signals', anySignal],
] as const)('fuzz: %s', { timeout: 60_000 + FUZZ_RUNS * 100 }, async (what, requests) => {
  const started = await fuzz(what, requests)
  // It would prove little, were nothing ever right; in some hundred requests that may be so by chance.
  const again = started === 0 && FUZZ_RUNS >= BATCH ? await fuzz(what, requests) : started
  expect(again).toBeGreaterThan(FUZZ_RUNS < BATCH ? -1 : 0)
})

/** @returns how many were admitted */
async function fuzz(what: string, requests: fc.Arbitrary<FuzzedRequest | FuzzedSignal>): Promise<number> {
  const seen = new Map<string, number>()
  let started = 0
  for (let done = 0; done < FUZZ_RUNS; done += BATCH) {
    const temporal = new FakeTemporal()
    temporal.install()
    hideLog()
    await sendHeartbeats()
    const batch: Batch = { admitted: new Set(), undecided: 0 }
    const seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0
    const property = fc.asyncProperty(
      fc.constantFrom<AppName>('open', 'open', 'ruled'),
      requests,
      async (app, request) => {
        const kind = await judge(app, await signedAsIs(request), batch)
        seen.set(kind, (seen.get(kind) ?? 0) + 1)
      },
    )
    await fc.assert(property, {
      seed,
      numRuns: Math.min(BATCH, FUZZ_RUNS - done),
      interruptAfterTimeLimit: MAX_BATCH_MS,
      markInterruptAsFailure: true,
    })
    await checkStarts(temporal, batch, seed)
    started += batch.admitted.size
    await cleanUp()
    if ((done / BATCH) % 8 === 7) console.log(`fuzz: ${done + BATCH} of ${FUZZ_RUNS} ${what}`)
  }
  console.log(
    `fuzz: ${what}: ${[...seen]
      .sort((a, b) => b[1] - a[1])
      .map(([kind, count]) => `${count} ${kind}`)
      .join(', ')}`,
  )
  return started
}

/** Nothing was started that no answer named, but for what an answer called undecided; that has a decision too. */
async function checkStarts({ starts }: FakeTemporal, { admitted, undecided }: Batch, seed: number): Promise<void> {
  const unnamed = [...new Set(starts.map(({ workflowId }) => workflowId))].filter((id) => !admitted.has(id))
  expect(unnamed.length, `started, but not named by any answer; seed ${seed}`).toBeLessThanOrEqual(undecided)
  for (const id of unnamed) {
    const { status, body } = await request('GET', `/v1/decisions/${id}`)
    expect({ status, body }, `seed ${seed}`).toMatchObject({ status: 200, body: { outcome: 'admitted' } })
  }
}

/** A signal with the signature that it needs. */
async function signedAsIs(request: FuzzedRequest | FuzzedSignal): Promise<FuzzedRequest> {
  const { body } = request
  if (!('signer' in request) || request.signer === null || body === null) return request
  const signature =
    request.signer === 'slack' ? await signedBySlack(body, SECRETS.SLACK) : await signedByPagerDuty(body, SECRETS.PAGER)
  return { ...request, headers: { ...request.headers, ...signature } }
}

/** Shows progress alone. */
function hideLog(): void {
  const show = console.log.bind(console)
  vi.spyOn(console, 'log').mockImplementation((line) => {
    if (!String(line).startsWith('{')) show(line)
  })
}

/** Sends a request and judges its answer. @returns its status, and the code of a problem */
async function judge(app: AppName, wanted: FuzzedRequest, batch: Batch): Promise<string> {
  const { admitted } = batch
  const request = toRequest(wanted)
  if (request === null) return 'no request at all'
  const timeout = { milliseconds: ANSWER_TIMEOUT_MS, message: 'no answer' }
  const response = await pTimeout(
    Promise.resolve(APPS[app].fetch(request, bindings, createExecutionContext())),
    timeout,
  )
  const text = await pTimeout(response.text(), timeout)
  const { status } = response
  for (const started of startedBy(request, text)) {
    if (app === 'ruled') expect(started.workflow).toBe('free')
    admitted.add(started.execution)
  }
  batch.undecided += text.split(NOT_DECIDED_YET).length - 1
  expect(response.headers.get('x-request-id')).toMatch(/^[\x21-\x7e]{1,200}$/)
  if (status < 400) {
    const body = parse(text)
    const execution = isObject(body) && isObject(body.execution) ? body.execution : null
    if (request.method === 'POST' && execution !== null) {
      const right = await mayStart(app, wanted, request)
      if (right !== true) throw new Error(`admitted, although ${right}: ${text}`)
      admitted.add(String(execution.id))
    }
    return String(status)
  }
  if (request.method === 'HEAD') return `${status} HEAD`
  if (status === 503 && decodedPath(request.url) === '/readyz') return '503 readyz'
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const problem = problemSchema.parse(JSON.parse(text))
  expect(Object.keys(PROBLEM_STATUSES)).toContain(problem.code)
  expect(problem.status).toBe(status)
  expect(PROBLEM_STATUSES[problem.code as ProblemCode]).toBe(status)
  expect(problem.type).toBe(`urn:resile:problem:${problem.code}`)
  if (status >= 500) expect(status).toBe(503)
  return `${status} ${problem.code}`
}

/** What the answer to a signal, or to somebody in Slack, says that was started. */
function startedBy(request: Request, text: string): { workflow: string; execution: string }[] {
  const path = decodedPath(request.url)
  const body = parse(text)
  if (!path.startsWith('/v1/triggers/') || !isObject(body)) return []
  const typed = /(\S+) (?:on|in) .*\\nExecution ([0-9a-f-]{36})/.exec(text)
  if (path.endsWith('/slack')) return typed === null ? [] : [{ workflow: 'free', execution: typed[2] ?? '' }]
  const items = Array.isArray(body.items) ? (body.items as Record<string, unknown>[]) : []
  return items.flatMap(({ workflow, execution }) =>
    typeof execution === 'string' ? [{ workflow: String(workflow), execution }] : [],
  )
}

/** Null for what can't be sent. */
function toRequest({ method, path, headers, body, cf }: FuzzedRequest): Request | null {
  try {
    const init = { method, headers, cf: cf as RequestInitCfProperties, ...(body === null ? {} : { body }) }
    return new Request(`http://coordinator.test${path}`, init)
  } catch {
    return null
  }
}

/** Whether a request may start what it asks for, told by other means than the coordinator's; else why not. */
async function mayStart(app: AppName, { headers, body }: FuzzedRequest, request: Request): Promise<true | string> {
  const path = decodedPath(request.url)
  // What of an event is data was read from JSON, and is the rest of a start.
  if (path === '/v1/triggers/cloudevents') return app === 'open' ? true : 'the rules forbid it'
  if (!/^application\/json(?:;|$)/i.test(headers['content-type'] ?? '')) return 'it is not JSON by its type'
  let json = parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body ?? new Uint8Array()))
  let workflow = /^\/v1\/workflows\/([^/]+)\/executions$/.exec(path)?.[1]
  if (workflow === undefined) {
    if (path !== '/v1/triggers/webhook/ci') return 'nothing is started there'
    // As they arrive: HTTP removes spaces around a value.
    if (!(await isSigned(Object.fromEntries(request.headers), body ?? new Uint8Array())))
      return 'the signature is wrong'
    if (isObject(json) && Object.hasOwn(json, 'data')) json = json.data
    if (!isObject(json) || typeof json.workflow !== 'string') return 'it names no workflow'
    const { workflow: named, ...rest } = json
    workflow = json.workflow
    json = rest
    if (app === 'ruled' && named !== 'free') return 'the rules forbid it'
  } else if (app === 'ruled') return 'the rules forbid it'
  if (!Object.hasOwn((compiled as { workflows: object }).workflows, workflow)) return 'there is no such workflow'
  if (!isObject(json)) return 'the body is no object'
  const known = ['target', 'input', 'reason', 'trigger', 'valid_for']
  if (Object.keys(json).some((key) => !known.includes(key))) return 'it has unknown fields'
  const { target, input, reason } = json
  if (target !== undefined && !isObject(target)) return 'the target is no object'
  if (Object.values(target ?? {}).some((name) => typeof name !== 'string' || !isName(name)))
    return 'the target is no name'
  if (input !== undefined && !isObject(input)) return 'the input is no object'
  if (reason !== undefined && typeof reason !== 'string') return 'the reason is no text'
  if (workflow === 'typed' && !/^[a-z]+$/.test(String(input?.unit))) return 'the input does not fit'
  return true
}

async function isSigned(headers: Record<string, string>, body: Uint8Array): Promise<boolean> {
  const secret = Uint8Array.from(atob(SECRET.slice('whsec_'.length)), (character) => character.charCodeAt(0))
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', secret, algorithm, false, ['verify'])
  const { 'webhook-id': id = '', 'webhook-timestamp': timestamp = '', 'webhook-signature': signatures = '' } = headers
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 302) return false
  const begin = new TextEncoder().encode(`${id}.${timestamp}.`)
  const content = new Uint8Array([...begin, ...body])
  for (const signature of signatures.split(' ').filter((one) => one.startsWith('v1,'))) {
    const mac = Uint8Array.from(atob(signature.slice(3)), (character) => character.charCodeAt(0))
    if (await crypto.subtle.verify(algorithm, key, mac, content)) return true
  }
  return false
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { type Decision, type List, problem, type Started, wellFormed } from '../support/http.ts'
import { rawRequest, sendRaw } from '../support/raw-http.ts'

const operator = 'spiffe://resile.local/operator'

/** Rules as a first access list has them: an administrator reads, everyone may trigger, metrics are public. */
const rules = (enableTls: boolean) => `
datacenter = "dc1"
server_config {
    enable_tls = ${enableTls}
    route_rule {
      name  = "read_all"
      method = "GET"
      route_patterns = ["/*"]
      uris = ["spiffe://example.org/admin"]
    }
    route_rule {
      name = "trigger_all"
      method = "POST"
      route_patterns = ["/*"]
      uris = ["spiffe://example.org/admin"]
      allow_public = true
    }
    route_rule {
      name = "public_metrics"
      method = "GET"
      route_patterns = ["/metrics"]
      uris = []
      allow_public = true
      skip_log_match = true
    }
}`
const workflows = napping('nap', 'task_queue_target = "datacenter"')

describe('access list', () => {
  let dev: Dev
  beforeAll(async () => {
    const project = writeProject({ 'coordinator.hcl': rules(false), ...workflows })
    dev = await startDev({ project, nodes: ['web-1:web'] })
  })

  test('anonymous, public route → allowed', async () => {
    const { decision } = await dev.started('nap')
    expect(decision.caller).toBe('anonymous')
    expect((await dev.call('/metrics')).status).toBe(200)
    // GET covers it.
    expect((await dev.call('/metrics', { method: 'HEAD' })).status).toBe(200)
    expect((await dev.call('/v1/workflows/nap/evaluate', { body: {} })).status).toBe(200)
  })

  test.each([
    ['GET', '/v1/executions'],
    ['GET', '/v1/decisions'],
    ['GET', '/v1/nodes'],
    ['GET', '/v1/workflows'],
    ['GET', '/healthz'],
    ['GET', '/readyz'],
    ['GET', '/openapi.json'],
    ['GET', '/'],
    ['PUT', '/v1/nodes/web-1'],
    ['DELETE', '/v1/workflows/nap/executions'],
    ['PATCH', '/metrics'],
  ])('anonymous, %s %s → refused', async (method, path) => {
    const body = method === 'PUT' ? {} : undefined
    problem(await dev.call(path, { method, ...(body === undefined ? {} : { body }) }), 401, 'unauthenticated')
  })

  test('anonymous, unknown path → not told whether it exists', async () => {
    problem(await dev.call('/nope'), 401, 'unauthenticated')
    problem(await dev.call('/v1/workflows/no-such'), 401, 'unauthenticated')
    problem(await dev.call('/v1/nodes/nowhere', { method: 'PUT', body: {} }), 401, 'unauthenticated')
  })

  test('anonymous, unknown path below a public one → 404', async () => {
    problem(await dev.start('no-such'), 404, 'unknown_workflow')
    problem(await dev.call('/v1/nodes', { method: 'POST' }), 405, 'method_not_allowed')
  })

  test.each([
    '/metrics/../v1/executions',
    '/metrics/%2e%2e/v1/executions',
    '/metrics%2F..%2Fv1%2Fexecutions',
    '/metrics/',
    '//metrics/../v1/executions',
    '/metrics;/../v1/executions',
    '/metrics%00/../v1/executions',
    '/metrics\\..\\v1\\executions',
    '/v1/executions?/metrics',
    '/v1/executions#/metrics',
    'http://x/v1/executions',
  ])('anonymous, detour by a public path %s → refused', async (target) => {
    const answer = await sendRaw(dev.coordinator, rawRequest('GET', target))
    expect([400, 401, 404]).toContain(answer.status)
    wellFormed(answer)
  })

  test('anonymous with forged headers → stays anonymous', async () => {
    const pretended = {
      'x-forwarded-client-cert': `URI=${operator}`,
      'x-resile-caller': operator,
      'x-client-cert': operator,
      'x-resile-identity': operator,
      'cf-client-cert': operator,
      forwarded: 'for=127.0.0.1',
      authorization: `Bearer ${operator}`,
      host: 'localhost',
    }
    problem(await dev.call('/v1/executions', { headers: pretended }), 401, 'unauthenticated')
    const { body } = await dev.call<Started>('/v1/workflows/nap/executions', { body: {}, headers: pretended })
    expect(body.decision.caller).toBe('anonymous')
  })

  test('operator on the socket → every route allowed', async () => {
    for (const path of ['/v1/executions', '/v1/decisions', '/v1/workflows', '/healthz', '/metrics', '/openapi.json']) {
      expect((await dev.callSocket(path)).status).toBe(200)
    }
    problem(await dev.callSocket('/nope'), 404, 'not_found')
    const { status, body } = await dev.callSocket<Started>('/v1/workflows/nap/executions', {
      body: {},
      headers: { prefer: 'wait=30' },
    })
    expect(status).toBe(201)
    expect(body.decision.caller).toBe(operator)
    const mine = `/v1/decisions?caller=${encodeURIComponent(operator)}`
    expect((await dev.callSocket<List<Decision>>(mine)).body.items).toHaveLength(1)
  })

  test('processes of dev and the command → every route allowed', async () => {
    expect((await dev.callSocket<List<unknown>>('/v1/nodes')).body.items).toHaveLength(1)
    const { code, stdout } = await dev.resile('nodes')
    expect(code).toBe(0)
    expect(stdout).toContain('web-1')
  })
})

test('resile dev: enable_tls → TLS only, plain requests unanswered', async () => {
  const dev = await startDev({ project: writeProject({ 'coordinator.hcl': rules(true), ...workflows }) })
  expect(dev.coordinator).toMatch(/^https:/)
  const plain = rawRequest('GET', '/metrics')
  await expect(sendRaw(dev.coordinator.replace('https:', 'http:'), plain)).resolves.toMatchObject({ status: 0 })
  expect((await dev.callSocket('/v1/nodes')).status).toBe(200)
})

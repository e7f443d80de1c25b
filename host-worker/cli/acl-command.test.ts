import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { CommandError } from '../process/exit-codes.ts'
import { explainAcl } from './acl-command.ts'

const ADMIN = 'spiffe://example.org/admin'

let project: string
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'resile-acl-'))
  await writeFile(
    join(project, 'coordinator.hcl'),
    `datacenter = "dc1"
    server_config {
      enable_tls = true
      worker_id  = "spiffe://example.org/worker/{node}"
      route_rule {
        name           = "read"
        method         = "GET"
        route_patterns = ["/*"]
        uris           = ["${ADMIN}", "spiffe://example.org/team/*"]
      }
      route_rule {
        name           = "trigger"
        method         = "POST"
        route_patterns = ["/v1/workflows/*/executions"]
        allow_public   = true
      }
      route_rule {
        name           = "metrics"
        method         = "GET"
        route_patterns = ["/metrics"]
        allow_public   = true
        skip_log_match = true
      }
      route_rule {
        name           = "chat"
        method         = "POST"
        route_patterns = ["/v1/triggers/slack"]
        uris           = ["slack:T0001/*", "slack:T0002/U0003"]
      }
    }
    slack { signing_secret_env = "SLACK" }`,
  )
})
afterAll(() => rm(project, { recursive: true }))

async function explained(method: string, path: string, uri?: string): Promise<Record<string, unknown>> {
  const said = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  try {
    await explainAcl(method, path, { project, json: true, ...(uri === undefined ? {} : { uri }) })
    return JSON.parse(String(said.mock.lastCall?.[0])) as Record<string, unknown>
  } finally {
    said.mockRestore()
  }
}

describe('resile acl explain', () => {
  it.each<[string, string, string | undefined, string | null, boolean, string]>([
    ['GET', '/v1/nodes', ADMIN, 'read', true, 'lets it pass'],
    ['HEAD', '/v1/nodes', ADMIN, 'read', true, 'lets it pass'],
    ['GET', '/v1/%6eodes?limit=1', 'spiffe://example.org/team/a', 'read', true, 'lets it pass'],
    ['GET', '/v1/nodes', undefined, null, false, '401'],
    ['GET', '/v1/nodes', 'spiffe://example.org/other', null, false, '403'],
    ['GET', '/v1/nodes', 'spiffe://elsewhere.org/admin', null, false, 'elsewhere.org is not permitted'],
    ['GET', '/v1/nodes', 'SPIFFE://example.org/admin', null, false, 'is not a SPIFFE ID'],
    ['POST', '/v1/workflows/w/executions', undefined, 'trigger', true, 'lets it pass'],
    ['POST', '/v1/workflows/w/evaluate', undefined, null, false, '401'],
    ['GET', '/metrics', undefined, 'metrics', true, 'lets it pass'],
    ['POST', '/v1/triggers/slack', 'slack:T0001/U0001', 'chat', true, 'lets it pass'],
    ['POST', '/v1/triggers/slack', 'slack:T0002/U0003', 'chat', true, 'lets it pass'],
    ['POST', '/v1/triggers/slack', 'slack:T0002/U0004', null, false, '403'],
    ['POST', '/v1/triggers/slack', 'slack:T0001/*', null, false, 'is not a Slack user'],
    ['PUT', '/v1/nodes/web-1', 'spiffe://example.org/worker/web-1', null, true, 'worker_id'],
    ['PUT', '/v1/nodes/web-2', 'spiffe://example.org/worker/web-1', null, false, '403'],
  ])('%s %s by %s → %s', async (method, path, uri, rule, allowed, reason) => {
    const explanation = await explained(method, path, uri)
    expect(explanation).toMatchObject({ rule, allowed })
    expect(explanation['reason']).toContain(reason)
  })

  it('request → every rule about it, and whether it is logged', async () => {
    expect(await explained('GET', '/metrics')).toMatchObject({
      path: '/metrics',
      caller: 'anonymous',
      logged: false,
      rules: [
        { name: 'read', allows: false, reason: 'does not list the caller' },
        { name: 'metrics', allows: true, reason: 'allow_public' },
      ],
    })
  })

  it.each([
    ['get', '/v1'],
    ['GET', 'v1'],
  ])('%s %s → usage error', async (method, path) => {
    await expect(explainAcl(method, path, { project, json: false })).rejects.toThrow(CommandError)
  })
})

/** Signed messages to a real coordinator, with secrets from the environment and from a file. */
import { randomBytes, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev, startDevProcess } from '../support/dev.ts'
import { napping, temporaryDirectory, writeProject } from '../support/files.ts'
import { type Answer, admitted, type Decision, type List, problem } from '../support/http.ts'

const secrets = {
  ci: `whsec_${randomBytes(32).toString('base64')}`,
  alerts: randomBytes(24).toString('base64'),
  unlisted: randomBytes(24).toString('base64'),
}
const door = (name: string) => `/v1/triggers/webhook/${name}`

const files = {
  'coordinator.hcl': `
    datacenter = "dc1"
    server_config {
      route_rule {
        name           = "webhooks"
        method         = "POST"
        route_patterns = ["/v1/triggers/webhook/*", "/v1/workflows/nap/executions"]
        uris           = ["webhook:ci", "webhook:alerts"]
      }
    }
    webhook "ci" { secret_env = "RESILE_TEST_CI_SECRET" }
    webhook "alerts" {
      secret_file = "alerts.secret"
      workflow    = "nap"
    }
    webhook "unlisted" { secret_env = "RESILE_TEST_UNLISTED_SECRET" }`,
  'alerts.secret': `${secrets.alerts}\n`,
  ...napping('nap', 'task_queue_target = "datacenter"'),
  ...napping('other', 'task_queue_target = "datacenter"'),
}

let dev: Dev
beforeAll(async () => {
  process.env['RESILE_TEST_CI_SECRET'] = secrets.ci
  process.env['RESILE_TEST_UNLISTED_SECRET'] = secrets.unlisted
  dev = await startDev({ project: writeProject(files), nodes: ['web-1'] })
})

interface Message {
  body: string
  headers: Record<string, string>
}

/** A message as its sender signs it. */
function message(secret: string, body: unknown, { id = randomUUID(), at = new Date() } = {}): Message {
  const text = JSON.stringify(body)
  return {
    body: text,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(id, at, text),
      prefer: 'wait=30',
    },
  }
}

function send(name: string, { body, headers }: Message): Promise<Answer<unknown>> {
  return dev.call(door(name), { method: 'POST', body, headers })
}

const minutes = (count: number): Date => new Date(Date.now() + count * 60_000)

describe('signed message', () => {
  test('names a workflow → started, caller is the webhook', async () => {
    const { decision, execution } = admitted(
      await send('ci', message(secrets.ci, { workflow: 'nap', input: { ms: 1 } })),
    )
    expect(decision).toMatchObject({ caller: 'webhook:ci', trigger: { source: 'webhook', name: 'ci' } })
    const { body } = await dev.callSocket<{ status: string }>(`/v1/executions/${execution.id}`)
    expect(['running', 'completed']).toContain(body.status)
  })

  test('workflow configured, secret in a file → started', async () => {
    const { decision } = admitted(await send('alerts', message(secrets.alerts, { reason: 'an alert' })))
    expect(decision).toMatchObject({ caller: 'webhook:alerts', workflow: 'nap', reason: 'an alert' })
  })

  test('Standard Webhooks envelope → started', async () => {
    const body = { type: 'remediation.wanted', timestamp: new Date().toISOString(), data: { workflow: 'nap' } }
    admitted(await send('ci', message(secrets.ci, body)))
  })

  test('sent again with a new signature → the same trigger', async () => {
    const id = randomUUID()
    const first = admitted(await send('ci', message(secrets.ci, { workflow: 'nap' }, { id, at: minutes(-1) })))
    const again = await send('ci', message(secrets.ci, { workflow: 'nap' }, { id }))
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(admitted(again, 200).execution.id).toBe(first.execution.id)
  })

  test('replayed → refused', async () => {
    const sent = message(secrets.ci, { workflow: 'nap' })
    admitted(await send('ci', sent))
    problem(await send('ci', sent), 409, 'replayed')
  })

  test('route that no rule allows → refused', async () => {
    problem(await send('ci', message(secrets.ci, { workflow: 'other' })), 403, 'forbidden')
    problem(await send('unlisted', message(secrets.unlisted, { workflow: 'nap' })), 403, 'forbidden')
  })
})

test.each<[string, () => Message]>([
  ['altered', () => ({ ...message(secrets.ci, { workflow: 'nap' }), body: '{"workflow": "nap", "reason": "x"}' })],
  ['signed with another secret', () => message(secrets.alerts, { workflow: 'nap' })],
  ['six minutes old', () => message(secrets.ci, { workflow: 'nap' }, { at: minutes(-6) })],
  ['from six minutes hence', () => message(secrets.ci, { workflow: 'nap' }, { at: minutes(6) })],
  ['not signed', () => ({ body: '{"workflow": "nap"}', headers: {} })],
])('message: %s → starts nothing', async (_, make) => {
  const ofWebhooks = '/v1/decisions?caller=webhook:ci&limit=500'
  const before = (await dev.callSocket<List<Decision>>(ofWebhooks)).body.items.length
  problem(await send('ci', make()), 401, 'unauthenticated')
  expect((await dev.callSocket<List<Decision>>(ofWebhooks)).body.items).toHaveLength(before)
})

test('secrets: after all messages → not printed, not stored', async () => {
  const { stdout, stderr } = dev.process.said
  const { text } = await dev.callSocket('/v1/workflows')
  for (const secret of Object.values(secrets)) {
    const bare = secret.replace('whsec_', '')
    for (const said of [stdout, stderr, text]) expect(said).not.toContain(bare)
  }
})

test('resile dev: webhook secret missing → reported before anything starts', async () => {
  const project = writeProject({ ...files, 'alerts.secret': secrets.alerts })
  writeFileSync(
    join(project, 'coordinator.hcl'),
    'datacenter = "dc1"\nwebhook "x" { secret_env = "RESILE_TEST_NOWHERE" }\n',
  )
  const { code, stderr } = await startDevProcess({ project, data: temporaryDirectory(), flags: ['--no-workers'] }).ended
  expect(code).toBe(1)
  expect(stderr).toContain('RESILE_TEST_NOWHERE')
  expect(stderr).not.toMatch(/^\s+at /m)
})

/** Operators are notified: by a webhook, and by a real Alertmanager. */
import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { kill } from 'node:process'
import { Webhook } from 'standardwebhooks'
import { beforeAll, describe, expect, test } from 'vitest'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { startAlertmanager } from '../support/alertmanager.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { workflow, writeProject } from '../support/files.ts'
import type { Decision, Execution, List, Started } from '../support/http.ts'
import { listen } from '../support/http-server.ts'
import { freePort } from '../support/ports.ts'
import { stays, until } from '../support/until.ts'

const anywhere = 'task_queue_target = "datacenter"'
const escalating = (receiver: string) => `${anywhere}\nescalation { receiver = "${receiver}" }`
const failing = (name: string) => `export async function ${name}(input) {
  await sleep(input.ms ?? 1)
  throw ApplicationFailure.nonRetryable('only 2 of 5 servers would be left', 'too_few_servers', { left: 2 })
}`
const secret = `whsec_${randomBytes(32).toString('base64')}`

let receiver: Receiver
let alertmanager: string
let dev: Dev
beforeAll(async () => {
  process.env['RESILE_TEST_RECEIVER_SECRET'] = secret
  receiver = await startReceiver()
  const port = await freePort()
  alertmanager = `http://127.0.0.1:${port}`
  const project = writeProject({
    'coordinator.hcl': `
      datacenter = "dc1"
      receiver "oncall" {
        webhook {
          url        = "http://localhost:${receiver.port}/hook"
          secret_env = "RESILE_TEST_RECEIVER_SECRET"
        }
      }
      receiver "alerts" {
        alertmanager { url = "${alertmanager}" }
      }`,
    ...workflow(
      'wiping',
      `${escalating('oncall')}\nconstraint {\n  kind = "maxFailure"\n  value = 1\n  period = "1h"\n}`,
      failing('wiping'),
    ),
    ...workflow('draining', escalating('oncall'), failing('draining')),
    ...workflow('rebooting', escalating('alerts'), failing('rebooting')),
    ...workflow('asking', `${escalating('alerts')}\nmode = "approve"`, failing('asking')),
  })
  if (!lacks('prometheus-alertmanager'))
    await startAlertmanager({ route: { receiver: 'nobody' }, receivers: [{ name: 'nobody' }] }, port)
  dev = await startDev({ project, nodes: ['web-1'] })
})

describe('webhook receiver', () => {
  const messagesOn = (id: string) => receiver.messages.filter(({ body }) => body.execution.id === id)

  test('failure that trips a limit → two signed notifications with evidence and receipt', async () => {
    const { execution, decision } = await dev.started('wiping', { reason: 'disk full' })
    const [message] = await until('a message came', () => {
      const messages = messagesOn(execution.id)
      return messages.length > 0 && messages
    })
    const { body, headers, text } = message ?? missing()
    expect(new Webhook(secret).verify(text, headers as Record<string, string>)).toEqual(body)
    expect(body).toMatchObject({
      type: 'execution.failed',
      id: headers['webhook-id'],
      summary: expect.stringContaining('wiping in dc1 failed: only 2 of 5 servers would be left'),
      tripped: ['wiping'],
    })
    expect(body.decision).toEqual(decision)
    expect(body.execution).toEqual(await dev.execution(execution.id))
    expect(body.execution.error).toMatchObject({ type: 'too_few_servers', details: [{ left: 2 }] })
    await stays('nobody is told twice', async () => messagesOn(execution.id).length === 1, 3000)
  })

  test('receiver down, coordinator killed → notified once it is up again', async () => {
    receiver.status = 503
    const { execution } = await dev.started('draining')
    await until('an attempt was made', () => messagesOn(execution.id).length > 0)
    const before = dev.pid('coordinator')
    kill(before, 'SIGKILL')
    receiver.status = 204
    const tries = messagesOn(execution.id).length
    await until('the coordinator is back', () => dev.pid('coordinator') !== before)
    await until('it was told', () => messagesOn(execution.id).length > tries, { within: 60_000 })
    expect(new Set(messagesOn(execution.id).map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(new Set(messagesOn(execution.id).map(({ text }) => text)).size).toBe(1)
    await until('metrics say so', async () => {
      const { text } = await dev.call('/metrics')
      return /^resile_escalations_pending 0$/m.test(text)
    })
    await until('its node has beaten again', async () => {
      const { body } = await dev.call<List<unknown>>('/v1/nodes')
      return body.items.length === 1
    })
  })
})

describe.skipIf(lacks('prometheus-alertmanager'))(
  `${titled('Alertmanager receiver', 'prometheus-alertmanager')}`,
  () => {
    /** The alerts on an execution that are active now. */
    const alertsOn = async (id: string) => {
      const query = new URLSearchParams({ filter: `execution="${id}"`, active: 'true' })
      const answer = await fetch(`${alertmanager}/api/v2/alerts?${query}`)
      return (await answer.json()) as { labels: Record<string, string>; annotations: Record<string, string> }[]
    }

    test('execution failed → alert', async () => {
      const { execution } = await dev.started('rebooting')
      const [alert] = await until('there is an alert', async () => {
        const alerts = await alertsOn(execution.id)
        return alerts.length > 0 && alerts
      })
      expect(alert).toMatchObject({
        labels: { alertname: 'ResileEscalation', workflow: 'rebooting', status: 'failed', severity: 'critical' },
        annotations: {
          summary: expect.stringContaining('only 2 of 5 servers would be left'),
          evidence: expect.stringContaining('too_few_servers'),
        },
      })
    })

    test('waiting for approval → alert until it is approved', async () => {
      const { body } = await dev.start('asking', { input: { ms: 600_000 } })
      const { id } = (body as Started).execution
      await until('there is an alert', async () => (await alertsOn(id)).length === 1)
      expect((await dev.call(`/v1/executions/${id}/approve`, { body: {} })).status).toBeLessThan(300)
      await until('it is resolved', async () => (await alertsOn(id)).length === 0)
    })
  },
)

interface Message {
  headers: IncomingHttpHeaders
  text: string
  body: { type: string; id: string; summary: string; tripped: string[]; execution: Execution; decision: Decision }
}

interface Receiver {
  port: number
  /** The receiver's answer. */
  status: number
  readonly messages: Message[]
}

async function startReceiver(): Promise<Receiver> {
  const messages: Message[] = []
  const told = { port: 0, status: 204, messages }
  told.port = await listen((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.once('end', () => {
      const text = Buffer.concat(chunks).toString()
      messages.push({ headers: request.headers, text, body: JSON.parse(text) as Message['body'] })
      response.writeHead(told.status).end()
    })
  })
  return told
}

function missing(): never {
  throw new Error('nothing came')
}

/** Slack and PagerDuty at a real coordinator, with secrets from files, and its answers to Slack. */
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, writeProject } from '../support/files.ts'
import { type Answer, type Decision, type Execution, type List, problem } from '../support/http.ts'
import { listen } from '../support/http-server.ts'
import { until } from '../support/until.ts'

const SLACK = randomBytes(16).toString('hex')
const PAGER = randomBytes(32).toString('base64')
const KEY = randomBytes(16).toString('hex')
const ME = 'slack:T0001/U0002'

/** What Slack and PagerDuty were sent: path and body. */
const received: { path: string; body: Record<string, unknown> }[] = []
const sentTo = (path: string) => received.filter((one) => one.path === path).map(({ body }) => body)

let dev: Dev
let outside: string
beforeAll(async () => {
  const port = await listen((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    request.on('end', () => {
      received.push({ path: request.url ?? '', body: JSON.parse(text) as Record<string, unknown> })
      response.writeHead(request.url === '/enqueue' ? 202 : 200).end()
    })
  })
  outside = `http://127.0.0.1:${port}`
  const anywhere = 'task_queue_target = "datacenter"'
  dev = await startDev({
    project: writeProject({
      'coordinator.hcl': `
        datacenter = "dc1"
        server_config {
          route_rule {
            name           = "people"
            method         = "POST"
            route_patterns = ["/v1/triggers/slack", "/v1/workflows/*/executions", "/v1/executions/*/approve"]
            uris           = ["${ME}"]
          }
          route_rule {
            name           = "pager"
            method         = "POST"
            route_patterns = ["/v1/triggers/pagerduty", "/v1/workflows/nap/executions"]
            uris           = ["webhook:pager"]
          }
        }
        slack {
          signing_secret_file = "slack.secret"
          response_prefix     = "${outside}/response/"
        }
        webhook "pager" {
          format      = "pagerduty"
          secret_file = "pager.secret"
        }
        receiver "chat" {
          slack { url_file = "chat.url" }
        }
        receiver "duty" {
          pagerduty {
            routing_key_file = "duty.key"
            url              = "${outside}/enqueue"
          }
        }`,
      'detectors.hcl': `
        detector "paged" {
          workflow = "nap"
          input = { ms = 1 }
          pagerduty { title = "^nap" }
        }`,
      'slack.secret': `${SLACK}\n`,
      'pager.secret': `${PAGER}\n`,
      'chat.url': `${outside}/chat\n`,
      'duty.key': `${KEY}\n`,
      ...napping('nap', anywhere),
      ...napping('ask', `${anywhere}\nmode = "approve"\nescalation { receiver = "chat" }`),
      ...napping('page', `${anywhere}\nmode = "approve"\nescalation { receiver = "duty" }`),
    }),
    nodes: ['web-1'],
  })
})

const mac = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex')

function fromSlack(fields: Record<string, string>): Promise<Answer<{ text: string; blocks: unknown[] }>> {
  const body = new URLSearchParams({
    team_id: 'T0001',
    user_id: 'U0002',
    trigger_id: randomUUID(),
    ...fields,
  }).toString()
  const timestamp = String(Math.floor(Date.now() / 1000))
  return dev.call('/v1/triggers/slack', {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': `v0=${mac(SLACK, `v0:${timestamp}:${body}`)}`,
    },
  })
}

function fromPagerDuty(secret: string, event: object): Promise<Answer<{ items: Record<string, unknown>[] }>> {
  const body = JSON.stringify({ event })
  const headers = { 'content-type': 'application/json', 'x-pagerduty-signature': `v1=${mac(secret, body)}` }
  return dev.call('/v1/triggers/pagerduty', { method: 'POST', body, headers })
}

const executionsOf = async (workflow: string): Promise<Execution[]> =>
  (await dev.callSocket<List<Execution>>(`/v1/executions?workflow=${workflow}`)).body.items

describe('Slack', () => {
  test('slash command → starts a workflow', async () => {
    const { status, body } = await fromSlack({ command: '/remediate', text: 'nap ms=1 reason tired' })
    expect({ status, text: body.text }).toMatchObject({ status: 200, text: expect.stringMatching(/^nap in dc1 /) })
    const { body: decisions } = await dev.callSocket<List<Decision>>('/v1/decisions?workflow=nap')
    expect(decisions.items[0]).toMatchObject({ caller: ME, reason: 'tired', trigger: { source: 'slack' } })
  })

  test('approval needed → asked in a channel, approved there', async () => {
    await fromSlack({ command: '/remediate', text: 'ask ms=1' })
    const [{ id } = { id: '' }] = await executionsOf('ask')
    const message = await until('the channel was told', () => sentTo('/chat')[0])
    expect(JSON.stringify(message)).toContain(
      `"action_id":"resile_approve","text":{"type":"plain_text","text":"Approve"}`,
    )
    const pressed = {
      type: 'block_actions',
      user: { id: 'U0002', team_id: 'T0001' },
      actions: [{ action_id: 'resile_approve', value: id }],
      message,
      response_url: `${outside}/response/1`,
    }
    expect((await fromSlack({ payload: JSON.stringify(pressed) })).status).toBe(200)
    const answer = await until('Slack was answered', () => sentTo('/response/1')[0])
    expect(answer).toMatchObject({ replace_original: true, text: expect.stringContaining('by <@U0002>') })
    expect(JSON.stringify(answer)).not.toContain('resile_approve')
    await until('it ran', async () => (await executionsOf('ask'))[0]?.status === 'completed')
  })

  test('user without permission → refused', async () => {
    problem(await fromSlack({ command: '/remediate', text: 'nap', user_id: 'U0003' }), 403, 'forbidden')
  })
})

describe('PagerDuty', () => {
  test("incident → starts the detector's workflow", async () => {
    const event = {
      id: randomUUID(),
      event_type: 'incident.triggered',
      occurred_at: new Date().toISOString(),
      data: { id: 'P1', type: 'incident', title: 'nap please' },
    }
    const { status, body } = await fromPagerDuty(PAGER, event)
    expect({ status, items: body.items }).toMatchObject({
      status: 200,
      items: [{ detector: 'paged', outcome: 'admitted' }],
    })
    problem(await fromPagerDuty(SLACK, event), 401, 'unauthenticated')
  })

  test('approval needed, then decided → notified of both', async () => {
    await fromSlack({ command: '/remediate', text: 'page ms=1' })
    const [{ id } = { id: '' }] = await executionsOf('page')
    const dedup_key = `${id}_awaiting_approval`
    await until('it was told', () => sentTo('/enqueue').length > 0)
    expect(sentTo('/enqueue')).toMatchObject([{ routing_key: KEY, event_action: 'trigger', dedup_key }])
    await dev.callSocket(`/v1/executions/${id}/reject`, { method: 'POST' })
    await until('it was told again', () => sentTo('/enqueue').length > 1)
    expect(sentTo('/enqueue')[1]).toEqual({ routing_key: KEY, event_action: 'resolve', dedup_key })
  })
})

test('secrets: after all messages → not printed', () => {
  const { stdout, stderr } = dev.process.said
  for (const secret of [SLACK, PAGER, KEY, `${outside}/chat`]) expect(stdout + stderr).not.toContain(secret)
})

import { env } from 'cloudflare:test'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alarmNow, execution, request, sql, start } from '../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../testing/fresh.ts'
import { FakeReceivers } from '../testing/receiver.ts'
import type { FakeTemporal } from '../testing/temporal.ts'

const BOUND = env as unknown as { CHAT_URL: string; DUTY_KEY: string }

let temporal: FakeTemporal
let receivers: FakeReceivers
beforeEach(async () => {
  temporal = await freshTemporal()
  receivers = new FakeReceivers()
  receivers.install()
  // PagerDuty only takes events in.
  receivers.answers.set('duty', 202)
})
afterEach(cleanUp)

async function settled(): Promise<void> {
  for (let round = 0; round < 3; round++) await alarmNow()
}

async function failed(workflow: string, why = 'too few servers', reason = '5xx above 20%'): Promise<string> {
  const { id } = (await start(workflow, {}, { target: { node: 'web-1' }, reason })).body.execution
  temporal.close(id, 'FAILED', why)
  await settled()
  return id
}

const waiting = async (workflow: string): Promise<string> => (await start(workflow)).body.execution.id
const logged = (spy: { mock: { calls: unknown[][] } }): string => spy.mock.calls.join('\n')

/** @see https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
interface SlackText {
  text: string
  blocks: { type: string; text?: { type: string; text: string }; fields?: { text: string }[]; elements?: object[] }[]
}
const chat = (): SlackText[] => receivers.received.map(({ text }) => JSON.parse(text) as SlackText)

const textsOf = (message: SlackText | undefined): string[] =>
  (message?.blocks ?? []).flatMap(({ text, fields = [] }) => [
    ...(text === undefined ? [] : [text.text]),
    ...fields.map((field) => field.text),
  ])

/** @see https://developer.pagerduty.com/docs/send-alert-event */
interface PagerDutyEvent {
  routing_key: string
  event_action: string
  dedup_key: string
  payload?: {
    summary: string
    source: string
    severity: string
    timestamp: string
    custom_details: Record<string, string>
  }
}
const pages = (): PagerDutyEvent[] => receivers.received.map(({ text }) => JSON.parse(text) as PagerDutyEvent)

describe('Slack receiver', () => {
  it('failure → message with summary, facts, receipt, evidence and commands', async () => {
    const log = vi.spyOn(console, 'log')
    const id = await failed('chatty')
    expect(receivers.received.map(({ url }) => url)).toEqual([BOUND.CHAT_URL])
    const [message] = chat()
    expect(message?.text).toBe('chatty on web-1 failed: too few servers')
    expect(textsOf(message)).toEqual([
      'chatty on web-1 failed: too few servers',
      '*Workflow*\nchatty',
      '*Status*\nfailed',
      '*Datacenter*\ndc1',
      '*Node*\nweb-1',
      `*Execution*\n${id}`,
      '*Triggered by*\nanonymous',
      '*Reason*\n5xx above 20%',
      '```admitted, without constraints```',
      '```{"type":"NotHealthy","message":"too few servers"}```',
      `\`\`\`resile executions ${id}\`\`\``,
    ])
    expect(message?.blocks.map(({ type }) => type)).not.toContain('actions')
    // Anyone who knows the URL can post there.
    expect(logged(log)).not.toContain(BOUND.CHAT_URL)
  })

  it('approval needed → message with buttons, nothing sent when it is decided', async () => {
    const id = await waiting('chatty-asked')
    await settled()
    expect(chat().at(-1)?.blocks.at(-1)).toMatchObject({
      type: 'actions',
      elements: [
        { action_id: 'resile_approve', value: id, style: 'primary' },
        { action_id: 'resile_reject', value: id, style: 'danger' },
      ],
    })
    await request('POST', `/v1/executions/${id}/approve`)
    await settled()
    expect(chat()).toHaveLength(1)
  })

  it('approval decided before it was sent → message without buttons', async () => {
    receivers.answers.set('chat', 'unreachable')
    const id = await waiting('chatty-asked')
    await settled()
    await request('POST', `/v1/executions/${id}/reject`)
    receivers.answers.delete('chat')
    receivers.received.length = 0
    await settled()
    expect(chat()).toHaveLength(1)
    expect(chat()[0]?.blocks[0]?.text?.text).toContain('(this has passed meanwhile)')
    expect(chat()[0]?.blocks.map(({ type }) => type)).not.toContain('actions')
  })

  it("markup in texts → escaped, within Slack's limits", async () => {
    const evil = '<!channel> <https://evil.example|ok> & ``` *'
    await failed('chatty', `${evil}${'&'.repeat(9000)}`, `${evil}${'<'.repeat(9000)}`)
    const [message] = chat()
    expect(JSON.stringify(message)).not.toMatch(/<(?:!channel|https)/)
    expect(message?.text).toContain('&lt;!channel&gt; &lt;https://evil.example|ok&gt; &amp;')
    for (const { text, fields = [] } of message?.blocks ?? []) {
      expect(text?.text.length ?? 0).toBeLessThanOrEqual(3000)
      for (const field of fields) expect(field.text.length).toBeLessThanOrEqual(2000)
    }
    const fences = message?.blocks.filter(({ text }) => text?.text.startsWith('```')) ?? []
    for (const { text } of fences) expect(text?.text.match(/```/g)).toHaveLength(2)
  })

  it('Retry-After → honoured', async () => {
    receivers.answers.set('chat', { status: 429, retryAfter: '30' })
    await failed('chatty')
    const [row] = await sql('SELECT next_at FROM escalations')
    expect(Number(row?.next_at) - Date.now()).toBeGreaterThan(25_000)
  })

  it.each(['chatty-in-vain', 'chatty-oddly'])(
    'without a URL is told nothing, and the log says why: %s',
    async (workflow) => {
      const log = vi.spyOn(console, 'log')
      await failed(workflow)
      expect(receivers.received).toEqual([])
      expect(logged(log)).toContain('its URL is missing or not an http(s) URL')
      expect(logged(log)).not.toContain('a-secret')
    },
  )
})

describe('PagerDuty receiver', () => {
  it('failure → event identified by execution and status', async () => {
    const log = vi.spyOn(console, 'log')
    const id = await failed('paging')
    expect(receivers.received.map(({ url }) => url)).toEqual(['http://duty.receiver.test/v2/enqueue'])
    expect(pages()).toEqual([
      {
        routing_key: BOUND.DUTY_KEY,
        dedup_key: `${id}_failed`,
        event_action: 'trigger',
        client: 'Resile',
        payload: {
          summary: expect.stringMatching(/^paging on web-1 failed: too few servers\. maxFailure tripped \(paging\)/),
          source: 'web-1',
          severity: 'critical',
          timestamp: (await execution(id)).closed_at,
          component: 'paging',
          group: 'dc1',
          class: 'execution.failed',
          custom_details: {
            execution: id,
            caller: 'anonymous',
            reason: '5xx above 20%',
            receipt: expect.stringContaining('maxFailure (datacenter dc1): 0 of 1 within 1h'),
            evidence: expect.stringContaining('too few servers'),
            tripped: 'paging',
            commands: `resile executions ${id}\nresile reset paging --reason … (once the cause is known)`,
          },
        },
      },
    ])
    await settled()
    expect(pages()).toHaveLength(1)
    expect(logged(log)).not.toContain(BOUND.DUTY_KEY)
  })

  it('approval decided → resolved', async () => {
    const id = await waiting('paging-asked')
    await settled()
    expect(pages()).toMatchObject([
      { event_action: 'trigger', dedup_key: `${id}_awaiting_approval`, payload: { severity: 'warning' } },
    ])
    await request('POST', `/v1/executions/${id}/reject`)
    await settled()
    expect(pages().slice(1)).toEqual([
      { routing_key: BOUND.DUTY_KEY, event_action: 'resolve', dedup_key: `${id}_awaiting_approval` },
    ])
  })

  it('not accepted → sent again', async () => {
    receivers.answers.set('duty', 400)
    await failed('paging')
    receivers.answers.set('duty', 202)
    await settled()
    expect(new Set(receivers.received.map(({ text }) => text)).size).toBe(1)
    const told = receivers.received.length
    await settled()
    expect(receivers.received).toHaveLength(told)
  })

  it('no routing key → nothing sent, logged', async () => {
    const log = vi.spyOn(console, 'log')
    await failed('paging-in-vain')
    expect(receivers.received).toEqual([])
    expect(logged(log)).toContain('its routing key is missing')
  })
})

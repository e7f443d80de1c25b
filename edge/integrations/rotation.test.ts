/** Secrets that are rotated: while two are in use, what either has signed is accepted, and what is sent is signed with both. */
import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { configured, post } from '../testing/configured.ts'
import { cleanUp, freshTemporal } from '../testing/fresh.ts'
import { signed, signedByPagerDuty, signedBySlack } from '../testing/webhook.ts'
import { notifier } from './webhook/notifier.ts'

beforeEach(freshTemporal)
afterEach(cleanUp)

const secretOf = (name: string): string => btoa(`${name} is a secret that signs`)
const PRESENT = secretOf('present')
const PREVIOUS = secretOf('previous')
const OTHER = secretOf('other')
const ROTATED = { secret_env: 'PRESENT', previous_secret_env: 'PREVIOUS' }

/** Sends a message that a secret has signed, to a coordinator whose two variables hold these. @returns the status */
type Send = (secret: string, variables: Record<string, string>) => Promise<number>

const SENDERS: Record<string, Send> = {
  async standard(secret, bindings) {
    const body = JSON.stringify({ workflow: 'free', target: { node: 'web-1' } })
    const config = configured({ coordinator: { webhook: { ci: ROTATED } } })
    return (await post(config, '/v1/triggers/webhook/ci', body, signed(body, { secret }), { bindings })).status
  },
  async cloudevents(secret, bindings) {
    const body = JSON.stringify({ specversion: '1.0', id: crypto.randomUUID(), source: '/bus', type: 'other' })
    const config = configured({ coordinator: { webhook: { bus: { ...ROTATED, format: 'cloudevents' } } } })
    const headers = { ...signed(body, { secret }), 'content-type': 'application/cloudevents+json' }
    return (await post(config, '/v1/triggers/cloudevents', body, headers, { bindings })).status
  },
  async pagerduty(secret, bindings) {
    const event = { id: 'E1', event_type: 'incident.triggered', data: { type: 'incident', id: 'Q1', title: 'other' } }
    const body = JSON.stringify({
      event: { ...event, resource_type: 'incident', occurred_at: new Date().toISOString() },
    })
    const config = configured({ coordinator: { webhook: { pager: { ...ROTATED, format: 'pagerduty' } } } })
    const headers = await signedByPagerDuty(body, secret)
    return (await post(config, '/v1/triggers/pagerduty', body, headers, { bindings })).status
  },
  async slack(secret, bindings) {
    const form = { team_id: 'T1', user_id: 'U1', command: '/remediate', text: 'free web-1' }
    const body = new URLSearchParams(form).toString()
    const slack = { signing_secret_env: 'PRESENT', previous_signing_secret_env: 'PREVIOUS' }
    const headers = await signedBySlack(body, secret)
    return (await post(configured({ coordinator: { slack } }), '/v1/triggers/slack', body, headers, { bindings }))
      .status
  },
}

describe.each(Object.entries(SENDERS))('secret of a sender (%s)', (kind, statusOf) => {
  it('signed with the present or the previous one → accepted; with another → 401', async () => {
    const variables = { PRESENT, PREVIOUS }
    expect(await statusOf(PRESENT, variables)).toBeLessThan(300)
    expect(await statusOf(PREVIOUS, variables)).toBeLessThan(300)
    expect(await statusOf(OTHER, variables)).toBe(401)
  })

  it('previous one unusable → logged once, the present one is accepted', async () => {
    const log = vi.spyOn(console, 'log')
    const variables = { PRESENT, PREVIOUS: `${kind.slice(0, 4)} short` }
    expect(await statusOf(PRESENT, variables)).toBeLessThan(300)
    expect(await statusOf(OTHER, variables)).toBe(401)
    const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>)
    expect(lines.filter(({ event }) => event === 'secret_invalid')).toMatchObject([{ variable: 'PREVIOUS' }])
  })

  it('present one unusable → 503, also with the previous one', async () => {
    expect(await statusOf(PREVIOUS, { PRESENT: 'short', PREVIOUS })).toBe(503)
  })
})

describe('secret of a receiver', () => {
  it('rotated → each secret verifies the message', () => {
    const variables = { PRESENT, PREVIOUS } as unknown as Env
    const config = { webhook: { url: 'http://hook.test/', ...ROTATED } }
    const document = '{"id":"E_failed"}'
    const notification = { receiver: 'hook', status: 'failed', document, isSent: false, endedAt: null } as const
    const { body = '', headers = {} } = notifier.deliveryOf(variables, config, notification, Date.now()) ?? {}
    for (const secret of [PRESENT, PREVIOUS]) {
      expect(new Webhook(secret).verify(body, headers)).toEqual({ id: 'E_failed' })
    }
    expect(() => new Webhook(OTHER).verify(body, headers)).toThrow('No matching signature')
  })
})

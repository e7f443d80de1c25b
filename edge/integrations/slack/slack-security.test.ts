import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { configured, rules } from '../../testing/configured.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import { FakeReceivers } from '../../testing/receiver.ts'
import { command, ME, PATH, SIGNING, SLACK, sendForm, textOf } from '../../testing/slack.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'
import { signedBySlack } from '../../testing/webhook.ts'
import { isSignedBySlack, readSlackHeaders } from './signature.ts'

let temporal: FakeTemporal
let receivers: FakeReceivers
beforeEach(async () => {
  temporal = await freshTemporal()
  receivers = new FakeReceivers()
  receivers.install()
})
afterEach(cleanUp)

it("Slack signature: Slack's own example → same signature", async () => {
  // https://docs.slack.dev/authentication/verifying-requests-from-slack
  const body =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar' +
    '&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com' +
    '%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN' +
    '&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
  const signature = 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503'
  const headers = new Headers({ 'x-slack-request-timestamp': '1531420618', 'x-slack-signature': signature })
  const read = readSlackHeaders(headers, 1_531_420_618_000)
  if ('refused' in read) throw new Error(read.refused)
  expect(await isSignedBySlack(SIGNING, read, new TextEncoder().encode(body))).toBe(true)
  expect(await isSignedBySlack(SIGNING, read, new TextEncoder().encode(`${body} `))).toBe(false)
})

describe('requests that Slack has not signed', () => {
  const form = { team_id: 'T1DC2JH3J', user_id: 'U2CERLKJA', command: '/remediate', text: 'free web-1' }
  const body = new URLSearchParams(form).toString()
  const right = () => signedBySlack(body, SIGNING)
  const now = (): number => Math.floor(Date.now() / 1000)
  const without = async (name: string) =>
    Object.fromEntries(Object.entries(await right()).filter(([key]) => key !== name))
  const changed = async (name: string, change: (value: string) => string) => {
    const headers = await right()
    return { ...headers, [name]: change(headers[name] ?? '') }
  }

  it.each<[string, () => Promise<Record<string, string> | [string, string][]>, string]>([
    ['no signature', () => without('x-slack-signature'), 'no header x-slack-signature'],
    ['no time', () => without('x-slack-request-timestamp'), 'no header x-slack-request-timestamp'],
    ['another secret', () => signedBySlack(body, 'another signing secret'), 'no signature'],
    ['another body', () => signedBySlack(`${body}&more=1`, SIGNING), 'no signature'],
    [
      'an altered signature',
      () => changed('x-slack-signature', (value) => value.replace(/.$/, (c) => (c === '0' ? '1' : '0'))),
      'no signature',
    ],
    [
      'capitals in it',
      () => changed('x-slack-signature', (value) => value.toUpperCase().replace('V', 'v')),
      'must be given exactly once',
    ],
    [
      'another version',
      () => changed('x-slack-signature', (value) => value.replace('v0', 'v1')),
      'must be given exactly once',
    ],
    ['another time', () => changed('x-slack-request-timestamp', (value) => String(Number(value) - 1)), 'no signature'],
    [
      'a time with a zero before it',
      () => changed('x-slack-request-timestamp', (value) => `0${value}`),
      'must be given exactly once',
    ],
    ['a time long past', () => signedBySlack(body, SIGNING, now() - 302), 'in the past'],
    ['a time to come', () => signedBySlack(body, SIGNING, now() + 63), 'in the future'],
    [
      'the signature twice',
      async () => {
        const headers = await right()
        return [...Object.entries(headers), ['x-slack-signature', headers['x-slack-signature'] ?? '']]
      },
      'must be given exactly once',
    ],
    [
      'the time twice',
      async () => {
        const headers = await right()
        return [...Object.entries(headers), ['x-slack-request-timestamp', headers['x-slack-request-timestamp'] ?? '']]
      },
      'must be given exactly once',
    ],
  ])('%s → 401', async (_, headers, detail) => {
    const answer = await sendForm(form, { headers: await headers() })
    expect(answer).toMatchObject({
      status: 401,
      body: { code: 'unauthenticated', detail: expect.stringContaining(detail) },
    })
    expect(temporal.starts).toEqual([])
  })

  it.each<[string, Record<string, string>]>([
    ['no user', { team_id: 'T1DC2JH3J', command: '/remediate', text: 'free web-1' }],
    ['a user that is no id', { ...form, user_id: '../x' }],
    ['a workspace that is no id', { ...form, team_id: 'T1/U1' }],
    ['an interaction that is no JSON', { payload: '{' }],
    ['an interaction of nobody', { payload: '{"type":"block_actions"}' }],
    [
      'an interaction with a strange user',
      { payload: JSON.stringify({ type: 'block_actions', user: { id: 'x/y', team_id: 'T1' } }) },
    ],
    ['what it sends to look at the certificate', { ssl_check: '1', token: 'x' }],
  ])('naming %s → 401', async (_, sent) => {
    expect(await sendForm(sent)).toMatchObject({
      status: 401,
      body: { detail: expect.stringContaining('names no user') },
    })
  })

  it('time within the window → accepted', async () => {
    for (const off of [-298, 55]) expect((await command('help', { timestamp: now() + off })).status).toBe(200)
  })

  it('Slack endpoint: same request twice → taken once', async () => {
    const headers = await right()
    expect((await sendForm(form, { headers })).status).toBe(200)
    expect(await sendForm(form, { headers })).toMatchObject({ status: 409, body: { code: 'replayed' } })
    expect(temporal.starts).toHaveLength(1)
  })

  it('Slack endpoint: other media type → 415; no slack block → 404', async () => {
    expect(await sendForm(form, { headers: { ...(await right()), 'content-type': 'application/json' } })).toMatchObject(
      { status: 415 },
    )
    expect(await sendForm(form, { config: configured({}) })).toMatchObject({ status: 404 })
  })

  it.each(['SHORT', 'NOT_THERE'])('a secret that can not be used is 503: %s', async (signing_secret_env) => {
    const config = configured({ coordinator: { slack: { signing_secret_env } } })
    expect(await sendForm(form, { config })).toMatchObject({ status: 503, body: { code: 'starting' } })
  })

  it('Slack endpoint: any request → never 500', { timeout: 60_000 }, async () => {
    const odd = fc.jsonValue({ maxDepth: 3 })
    const payload = fc.record({
      type: fc.oneof(fc.constant('block_actions'), odd),
      user: fc.oneof(fc.constant({ id: 'U2CERLKJA', team_id: 'T1DC2JH3J' }), odd),
      team: odd,
      response_url: odd,
      actions: fc.oneof(fc.array(fc.record({ action_id: fc.constantFrom('resile_approve', 'x'), value: odd })), odd),
      message: odd,
    })
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string().map((end) => `typed web-1 unit=${end}`),
    )
    const forms = fc.oneof(
      payload.map((value): Record<string, string> => ({ payload: JSON.stringify(value) })),
      text.map((value): Record<string, string> => ({ ...form, text: value })),
      fc.dictionary(fc.constantFrom('payload', 'team_id', 'user_id', 'command', 'text'), fc.string()),
    )
    await fc.assert(
      fc.asyncProperty(forms, async (sent) => {
        const { status } = await sendForm({ ...sent, nonce: crypto.randomUUID() })
        expect([200, 401]).toContain(status)
      }),
      { numRuns: 200 },
    )
  })
})

describe('route rules', () => {
  const endpoint = (uri: string) => ({ route_patterns: [PATH], uris: [uri] })
  const starts = (uri: string) => ({ route_patterns: ['/v1/workflows/free/executions'], uris: [uri] })
  const withRules = (...list: Parameters<typeof rules>) => configured({ coordinator: { ...SLACK, ...rules(...list) } })

  it('endpoint and each start → both must be authorised', async () => {
    const workspace = 'slack:T1DC2JH3J/*'
    expect((await command('free web-1', { config: withRules(endpoint(workspace), starts(ME)) })).body).toMatchObject({
      response_type: 'in_channel',
    })
    const other = { user_id: 'U0THER' }
    const refused = await command('free web-1', { config: withRules(endpoint(workspace), starts(ME)) }, other)
    expect(refused.status).toBe(200)
    expect(textOf(refused)).toContain('no rule lets slack:T1DC2JH3J/U0THER POST /v1/workflows/free/executions')
    expect(await command('free web-1', { config: withRules(starts(ME)) })).toMatchObject({ status: 403 })
    expect(
      await command('free web-1', { config: withRules(endpoint('slack:T1DC2JH3J/U9'), starts(ME)) }),
    ).toMatchObject({
      status: 403,
    })
    expect(
      await command('free web-1', { config: withRules(endpoint(workspace), starts(ME)) }, { team_id: 'T1DC2JH3' }),
    ).toMatchObject({ status: 403 })
    expect(temporal.starts).toHaveLength(1)
  })
})

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Config } from '../../../shared/config.ts'
import { LedgerObject } from '../../ledger/ledger.ts'
import { configured, post, rules } from '../../testing/configured.ts'
import { type Answer, execution, request, start } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import { FakeReceivers } from '../../testing/receiver.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'
import { signedBySlack } from '../../testing/webhook.ts'
import { codeSection } from './message.ts'
import { responseUrl } from './respond.ts'
import { isSignedBySlack, readSlackHeaders } from './signature.ts'

const PATH = '/v1/triggers/slack'
const SIGNING = '8f742231b10e8888abcd99yyyzzz85a5'
const BINDINGS = { SLACK: SIGNING, SHORT: 'too short' }
const SLACK = { slack: { signing_secret_env: 'SLACK', response_prefix: 'http://slack.receiver.test/' } }
const OPEN = configured({ coordinator: SLACK })
const ME = 'slack:T1DC2JH3J/U2CERLKJA'

let temporal: FakeTemporal
let receivers: FakeReceivers
beforeEach(async () => {
  temporal = await freshTemporal()
  receivers = new FakeReceivers()
  receivers.install()
})
afterEach(cleanUp)

interface Sending {
  config?: Config
  secret?: string
  timestamp?: number
  headers?: Record<string, string> | [string, string][]
  bindings?: object
  responseUrl?: string
}

async function sendForm(form: Record<string, string>, wish: Sending = {}): Promise<Answer> {
  const body = new URLSearchParams(form).toString()
  const headers = wish.headers ?? (await signedBySlack(body, wish.secret ?? SIGNING, wish.timestamp))
  return post(wish.config ?? OPEN, PATH, body, headers, { bindings: wish.bindings ?? BINDINGS })
}

/** @see https://docs.slack.dev/interactivity/implementing-slash-commands#app_command_handling */
function command(text: string, wish: Sending = {}, over: Record<string, string> = {}): Promise<Answer> {
  const form = {
    token: 'xyzz0WbapA4vBCDEFasx0q6G',
    team_id: 'T1DC2JH3J',
    team_domain: 'testteamnow',
    channel_id: 'G8PSS9T3V',
    channel_name: 'foobar',
    user_id: 'U2CERLKJA',
    user_name: 'roadrunner',
    command: '/remediate',
    text,
    response_url:
      wish.responseUrl ?? 'http://slack.receiver.test/commands/T1DC2JH3J/397700885554/96rGlfmibIGlgcZRskXaIFfN',
    trigger_id: crypto.randomUUID(),
    ...over,
  }
  return sendForm(form, wish)
}

/** @see https://docs.slack.dev/reference/interaction-payloads/block_actions-payload */
function press(action: string, value: string, wish: Sending = {}, over: object = {}): Promise<Answer> {
  const payload = {
    type: 'block_actions',
    user: { id: 'U2CERLKJA', username: 'roadrunner', name: 'roadrunner', team_id: 'T1DC2JH3J' },
    api_app_id: 'A00APP01',
    container: { type: 'message', message_ts: '1767326126.896109', channel_id: 'G8PSS9T3V', is_ephemeral: false },
    trigger_id: crypto.randomUUID(),
    team: { id: 'T1DC2JH3J', domain: 'testteamnow' },
    message: {
      type: 'message',
      text: 'asked on web-1 waits for approval',
      blocks: [
        { type: 'section', block_id: 'a', text: { type: 'mrkdwn', text: 'asked on web-1', verbatim: true } },
        { type: 'actions', block_id: 'b', elements: [] },
      ],
    },
    response_url: wish.responseUrl ?? 'http://slack.receiver.test/actions/T1DC2JH3J/1/x',
    actions: [{ type: 'button', block_id: 'b', action_id: action, value, action_ts: '1767326130.289415' }],
    ...over,
  }
  return sendForm({ payload: JSON.stringify(payload) }, wish)
}

const waiting = async (): Promise<string> => (await start('asked')).body.execution.id
const responses = (): Record<string, unknown>[] =>
  receivers.received.map(({ text }) => JSON.parse(text) as Record<string, unknown>)
const textOf = (answer: Answer): string => String(answer.body.text)
const whole = (answer: Answer): string => JSON.stringify(answer.body)

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

describe('slash command', () => {
  it('allowed → starts as its user, channel gets the receipt', async () => {
    const answer = await command('typed web-1 unit=nginx reason disk is dying')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toContain('application/json')
    expect(answer.body).toMatchObject({ response_type: 'in_channel', text: 'typed on web-1 was started' })
    expect(whole(answer)).toContain('Reason: disk is dying')
    expect(whole(answer)).toContain('<@U2CERLKJA>')
    expect(whole(answer)).toContain('admitted, without constraints')
    const [decision] = (await request('GET', '/v1/decisions')).body.items as Record<string, unknown>[]
    expect(decision).toMatchObject({
      caller: ME,
      workflow: 'typed',
      target: { node: 'web-1' },
      reason: 'disk is dying',
      trigger: { source: 'slack', name: '/remediate' },
    })
    expect(temporal.starts).toHaveLength(1)
  })

  it.each([
    ['no web-1', 'there is no workflow'],
    ['../x web-1', 'there is no workflow'],
    ['free', '/target/node: is required'],
    ['free WEB', '/target/node: not a name'],
    ['typed web-1 unit=1', '/input/unit: must match'],
    ['typed web-1 unit=nginx more=1', '/input/more: the workflow has no such input'],
    ['free web-1 web-2', 'after the target'],
    ['free web-9', 'no_worker'],
  ])('%j → error for the user only, with 200', async (text, detail) => {
    const answer = await command(text)
    expect(answer).toMatchObject({ status: 200, body: { response_type: 'ephemeral' } })
    expect(textOf(answer)).toContain(detail)
    expect(temporal.starts).toEqual([])
  })

  it('denied → says which limit, and until when', async () => {
    for (let index = 0; index < 3; index++) await start('thrice')
    const answer = await command('thrice web-1')
    expect(answer).toMatchObject({ status: 200, body: { response_type: 'ephemeral' } })
    expect(textOf(answer)).toContain('constraint_denied')
    expect(whole(answer)).toContain('maxExecution (datacenter dc1): 3 of 3 within 24h')
    expect(whole(answer)).toContain('It may be allowed from')
  })

  it('approval needed → buttons', async () => {
    const answer = await command('asked web-1')
    expect(answer.body).toMatchObject({ response_type: 'in_channel', text: 'asked on web-1 waits for approval' })
    const id = (await request('GET', '/v1/executions')).body.items as { id: string }[]
    expect(answer.body.blocks).toContainEqual({
      type: 'actions',
      elements: [
        expect.objectContaining({ action_id: 'resile_approve', value: id[0]?.id }),
        expect.objectContaining({ action_id: 'resile_reject', value: id[0]?.id }),
      ],
    })
  })

  it.each(['', ' help '])('%j lists what the user may start, and how', async (text) => {
    const config = configured({
      coordinator: {
        ...SLACK,
        ...rules(
          { route_patterns: [PATH], uris: ['slack:T1DC2JH3J/*'] },
          { route_patterns: ['/v1/workflows/typed/executions'], uris: [ME] },
        ),
      },
    })
    const answer = await command(text, { config })
    expect(answer).toMatchObject({ status: 200, body: { response_type: 'ephemeral' } })
    expect(textOf(answer)).toBe('/remediate typed NODE unit=STRING [count=NUMBER] [options=OBJECT] [reason …]')
    expect(textOf(await command(text))).toContain('/remediate anywhere [reason …]')
  })

  it('text that would end a code block → not markup', () => {
    expect(codeSection('a ``` *b* `````` <c>')).toMatchObject({
      text: { text: expect.stringMatching(/^```(?:(?!```).)*```$/) },
    })
  })

  it('markup from elsewhere → escaped', async () => {
    const evil = '<!channel> <https://evil.example|click> & ```'
    const answer = await command(`free web-1 reason ${evil}`)
    expect(whole(answer)).toContain('&lt;!channel&gt; &lt;https://evil.example|click&gt; &amp;')
    expect(whole(answer)).not.toContain('<!channel>')
    const refused = await command('<!here> web-1')
    expect(whole(refused)).toContain('&lt;!here&gt;')
    expect(whole(refused)).not.toContain('<!here>')
    const long = await command(`free web-1 reason ${'<&>'.repeat(3000)}`)
    for (const block of long.body.blocks as { text: { text: string } }[])
      expect(block.text.text.length).toBeLessThan(3000)
  })

  it('slower than Slack waits → answered at the response URL', { timeout: 30_000 }, async () => {
    const submit = Reflect.get(LedgerObject.prototype, 'submit')
    vi.spyOn(LedgerObject.prototype, 'submit').mockImplementation(async function later(this: LedgerObject, submission) {
      await new Promise((resolve) => setTimeout(resolve, 3000))
      return Reflect.apply(submit, this, [submission])
    })
    const answer = await command('free web-1')
    expect(answer).toMatchObject({ status: 200, body: { text: 'It is not decided yet; the answer follows.' } })
    expect(responses()).toMatchObject([{ response_type: 'in_channel', text: 'free on web-1 was started' }])
  })

  it('internal error → reported without its cause', async () => {
    vi.spyOn(LedgerObject.prototype, 'submit').mockImplementation(async () => {
      throw new Error('connection lost')
    })
    const answer = await command('free web-1')
    expect(answer.status).toBe(200)
    expect(textOf(answer)).toContain('ledger_unavailable')
  })
})

describe('button', () => {
  it('approve → empty answer at once, decision replaces the buttons', async () => {
    const id = await waiting()
    const answer = await press('resile_approve', id)
    expect(answer).toMatchObject({ status: 200, body: { answer: '' } })
    expect(receivers.received).toMatchObject([
      { url: 'http://slack.receiver.test/actions/T1DC2JH3J/1/x', redirect: 'manual' },
    ])
    expect(responses()).toEqual([
      {
        replace_original: true,
        text: 'asked on web-1 was approved and started by <@U2CERLKJA>',
        blocks: [
          { type: 'section', block_id: 'a', text: { type: 'mrkdwn', text: 'asked on web-1', verbatim: true } },
          {
            type: 'section',
            text: { type: 'mrkdwn', text: 'asked on web-1 was approved and started by <@U2CERLKJA>', verbatim: true },
          },
        ],
      },
    ])
    expect(await execution(id)).toMatchObject({ status: 'running' })
    expect((await request('GET', `/v1/decisions/${id}`)).body.approval).toMatchObject({ caller: ME })
  })

  it('reject → rejected', async () => {
    const id = await waiting()
    await press('resile_reject', id)
    expect(responses()).toMatchObject([{ replace_original: true, text: 'asked on web-1 was rejected by <@U2CERLKJA>' }])
    expect(await execution(id)).toMatchObject({ status: 'rejected' })
    expect(temporal.starts).toEqual([])
  })

  it('decided already → buttons removed; denied now → buttons kept', async () => {
    const id = await waiting()
    await request('POST', '/v1/freezes', { scope: {}, reason: '<test>' })
    await press('resile_approve', id)
    expect(responses().at(-1)).toMatchObject({
      replace_original: false,
      response_type: 'ephemeral',
      text: expect.stringContaining('frozen'),
    })
    expect(JSON.stringify(responses().at(-1))).not.toContain('<test>')
    await press('resile_reject', id)
    await press('resile_reject', id)
    expect(responses().at(-1)).toMatchObject({
      replace_original: true,
      text: expect.stringContaining('does not await approval: rejected'),
    })
  })

  it('pressed by an unauthorised user → refused, separately for approve and reject', async () => {
    const id = await waiting()
    const door = { route_patterns: [PATH], uris: [ME] }
    const config = configured({
      coordinator: {
        ...SLACK,
        ...rules(door, { route_patterns: ['/v1/executions/*/reject'], uris: ['slack:T1DC2JH3J/*'] }),
      },
    })
    await press('resile_approve', id, { config })
    expect(responses()).toMatchObject([{ replace_original: false, text: expect.stringContaining('forbidden') }])
    expect(await execution(id)).toMatchObject({ status: 'awaiting_approval' })
    // Somebody of another workspace, in a channel that both share.
    const guest = { user: { id: 'U2CERLKJA', team_id: 'T0THER' } }
    expect((await press('resile_reject', id, { config }, guest)).status).toBe(403)
    expect(await execution(id)).toMatchObject({ status: 'awaiting_approval' })
    await press('resile_reject', id, { config })
    expect(await execution(id)).toMatchObject({ status: 'rejected' })
  })

  it.each([
    ['resile_approve', 'no id'],
    ['resile_approve', '../../workflows/free/reset'],
    ['resile_reject', '01a20000-0000-7000-8000-000000000000'],
  ])('%s of %j → does nothing', async (action, value) => {
    await press(action, value)
    expect(responses()).toMatchObject([{ replace_original: false, text: expect.stringContaining('not_found') }])
  })

  it('other kinds of interactions → ignored', async () => {
    const id = await waiting()
    expect((await press('other', id)).status).toBe(200)
    expect((await press('resile_approve', id, {}, { type: 'view_submission' })).status).toBe(200)
    expect((await press('resile_approve', id, {}, { actions: [] })).status).toBe(200)
    expect(receivers.received).toEqual([])
    expect(await execution(id)).toMatchObject({ status: 'awaiting_approval' })
  })

  it('response URL elsewhere → not answered there', async () => {
    for (const url of ['http://other.receiver.test/', 'http://slack.receiver.test@other.receiver.test/', 'none', '']) {
      await press('resile_reject', await waiting(), { responseUrl: url })
    }
    expect(receivers.received).toEqual([])
  })

  it('answer not delivered → tried once more', { timeout: 30_000 }, async () => {
    receivers.answers.set('slack', 500)
    const id = await waiting()
    await press('resile_reject', id)
    expect(receivers.received).toHaveLength(2)
    expect(await execution(id)).toMatchObject({ status: 'rejected' })
  })
})

it.each<[string, string, string | null]>([
  ['https://hooks.slack.com/', 'https://hooks.slack.com/commands/1', 'https://hooks.slack.com/commands/1'],
  ['https://hooks.slack.com/', 'HTTPS://HOOKS.slack.com/commands/1', 'https://hooks.slack.com/commands/1'],
  ['https://hooks.slack.com/', 'http://hooks.slack.com/commands/1', null],
  ['https://hooks.slack.com/', 'https://hooks.slack.com:8443/commands/1', null],
  ['https://hooks.slack.com/', 'https://hooks.slack.com@evil.example/', null],
  ['https://hooks.slack.com/', 'https://user@hooks.slack.com/', null],
  ['https://hooks.slack.com/', 'https://hooks.slack.com.evil.example/', null],
  ['https://hooks.slack.com/', 'https://evil.example/https://hooks.slack.com/', null],
  ['https://hooks.slack.com/', 'https://evil.example\\@hooks.slack.com/', null],
  ['https://hooks.slack.com/', '//hooks.slack.com/', null],
  ['https://hooks.slack.com/', 'file:///etc/passwd', null],
  ['https://hooks.slack.com/a/', 'https://hooks.slack.com/a/../b', null],
  ['https://hooks.slack.com/a/', 'https://hooks.slack.com/a/%2e%2e/b', null],
  ['https://hooks.slack.com/a/', 'https://hooks.slack.com/a/b', 'https://hooks.slack.com/a/b'],
])('below %s, %s → %s', (prefix, url, expected) => expect(responseUrl(prefix, url)).toBe(expected))

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
      'must be there once',
    ],
    ['another version', () => changed('x-slack-signature', (value) => value.replace('v0', 'v1')), 'must be there once'],
    ['another time', () => changed('x-slack-request-timestamp', (value) => String(Number(value) - 1)), 'no signature'],
    [
      'a time with a zero before it',
      () => changed('x-slack-request-timestamp', (value) => `0${value}`),
      'must be there once',
    ],
    ['a time long past', () => signedBySlack(body, SIGNING, now() - 302), 'in the past'],
    ['a time to come', () => signedBySlack(body, SIGNING, now() + 63), 'in the future'],
    [
      'the signature twice',
      async () => {
        const headers = await right()
        return [...Object.entries(headers), ['x-slack-signature', headers['x-slack-signature'] ?? '']]
      },
      'must be there once',
    ],
    [
      'the time twice',
      async () => {
        const headers = await right()
        return [...Object.entries(headers), ['x-slack-request-timestamp', headers['x-slack-request-timestamp'] ?? '']]
      },
      'must be there once',
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
  const door = (uri: string) => ({ route_patterns: [PATH], uris: [uri] })
  const starts = (uri: string) => ({ route_patterns: ['/v1/workflows/free/executions'], uris: [uri] })
  const withRules = (...list: Parameters<typeof rules>) => configured({ coordinator: { ...SLACK, ...rules(...list) } })

  it('endpoint and each start → both must be authorised', async () => {
    const workspace = 'slack:T1DC2JH3J/*'
    expect((await command('free web-1', { config: withRules(door(workspace), starts(ME)) })).body).toMatchObject({
      response_type: 'in_channel',
    })
    const other = { user_id: 'U0THER' }
    const refused = await command('free web-1', { config: withRules(door(workspace), starts(ME)) }, other)
    expect(refused.status).toBe(200)
    expect(textOf(refused)).toContain('no rule lets slack:T1DC2JH3J/U0THER POST /v1/workflows/free/executions')
    expect(await command('free web-1', { config: withRules(starts(ME)) })).toMatchObject({ status: 403 })
    expect(await command('free web-1', { config: withRules(door('slack:T1DC2JH3J/U9'), starts(ME)) })).toMatchObject({
      status: 403,
    })
    expect(
      await command('free web-1', { config: withRules(door(workspace), starts(ME)) }, { team_id: 'T1DC2JH3' }),
    ).toMatchObject({ status: 403 })
    expect(temporal.starts).toHaveLength(1)
  })
})

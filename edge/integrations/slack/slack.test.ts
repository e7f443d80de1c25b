import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LedgerObject } from '../../ledger/ledger.ts'
import { configured, rules } from '../../testing/configured.ts'
import { type Answer, execution, request, start } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import { FakeReceivers } from '../../testing/receiver.ts'
import { command, ME, PATH, press, SLACK, textOf } from '../../testing/slack.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'
import { codeSection } from './message.ts'
import { responseUrl } from './respond.ts'

let temporal: FakeTemporal
let receivers: FakeReceivers
beforeEach(async () => {
  temporal = await freshTemporal()
  receivers = new FakeReceivers()
  receivers.install()
})
afterEach(cleanUp)

const waiting = async (): Promise<string> => (await start('asked')).body.execution.id
const responses = (): Record<string, unknown>[] =>
  receivers.received.map(({ text }) => JSON.parse(text) as Record<string, unknown>)
const whole = (answer: Answer): string => JSON.stringify(answer.body)

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
    const endpoint = { route_patterns: [PATH], uris: [ME] }
    const config = configured({
      coordinator: {
        ...SLACK,
        ...rules(endpoint, { route_patterns: ['/v1/executions/*/reject'], uris: ['slack:T1DC2JH3J/*'] }),
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

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type ConfigDocument, coordinatorSchema } from '../../shared/config.ts'
import { temporaryDirectory } from '../../test/support/files.ts'
import { readSecrets, secretFiles } from './secrets.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** Reads the secrets of a coordinator whose files hold these; `config` is what coordinator.hcl says. */
async function read(config: object, files: Record<string, string> = {}) {
  const directory = temporaryDirectory()
  for (const [name, secret] of Object.entries(files)) writeFileSync(join(directory, name), secret)
  const coordinator = coordinatorSchema.parse({ datacenter: 'dc1', ...config })
  return readSecrets(directory, directory, { coordinator: {} } as ConfigDocument, coordinator)
}

test('secrets: two webhooks with the same secret → refused', async () => {
  const files = { a: 'the same\n', b: 'the same\n', c: 'another\n' }
  const readHooks = async (...names: string[]) =>
    read({ webhook: Object.fromEntries(names.map((file) => [`hook-${file}`, { secret_file: file }])) }, files)
  await expect(readHooks('a', 'b')).rejects.toThrow('webhooks hook-a and hook-b have the same secret')
  await expect(readHooks('a', 'c')).resolves.toMatchObject({ secrets: { WEBHOOK_SECRET_1: 'another' } })
})

test.each(['whsec_c2VjcmV0', ' c2VjcmV0= ', 'c2VjcmV0'])('nor the same in another spelling: %j', async (other) => {
  vi.stubEnv('RESILE_TEST_SECRET', other)
  const files = { a: 'whsec_c2VjcmV0==' }
  const webhook = { one: { secret_file: 'a' }, two: { secret_env: 'RESILE_TEST_SECRET' } }
  await expect(read({ webhook }, files)).rejects.toThrow('webhooks one and two have the same secret')
  const slack = { signing_secret_env: 'RESILE_TEST_SECRET' }
  await expect(read({ slack, webhook: { one: webhook.one } }, files)).rejects.toThrow(
    'webhook one and slack have the same secret',
  )
  const receiver = { duty: { pagerduty: { routing_key_env: 'RESILE_TEST_SECRET' } } }
  await expect(read({ receiver, webhook: { one: webhook.one } }, files)).rejects.toThrow(
    'webhook one and receiver duty have the same secret',
  )
})

describe('secret of a receiver', () => {
  const url = 'https://hooks.example.org'

  test('in a file → becomes a binding', async () => {
    const { document, secrets } = await read(
      {
        receiver: {
          plain: { webhook: { url } },
          alerts: { alertmanager: { url } },
          signed: { webhook: { url, secret_file: 's' } },
        },
      },
      { s: 'secret\n' },
    )
    expect(secrets).toMatchObject({ RECEIVER_SECRET_2: 'secret' })
    expect(document.coordinator.receiver).toEqual({
      plain: { webhook: { url } },
      alerts: { alertmanager: { url } },
      signed: { webhook: { url, secret_env: 'RECEIVER_SECRET_2' } },
    })
  })

  test('shared with another receiver → accepted; with a webhook → refused', async () => {
    const receiver = { one: { webhook: { url, secret_file: 's' } }, two: { webhook: { url, secret_file: 's' } } }
    await expect(read({ receiver }, { s: 'secret' })).resolves.toBeDefined()
    const webhook = { ci: { secret_file: 't' } }
    await expect(read({ receiver, webhook }, { s: 'secret', t: 'secret\n' })).rejects.toThrow(
      'webhook ci and receiver two have the same secret',
    )
  })

  test('missing → named', async () => {
    const receiver = (place: object) => ({ receiver: { oncall: { webhook: { url, ...place } } } })
    await expect(read(receiver({ secret_file: 'no' }))).rejects.toThrow(
      "receiver oncall: its secret_file can't be read",
    )
    await expect(read(receiver({ secret_env: 'RESILE_NO_SUCH' }))).rejects.toThrow(
      'receiver oncall: the environment variable RESILE_NO_SUCH of its secret is not set',
    )
  })
})

describe('secrets of Slack and PagerDuty', () => {
  test('in files → become bindings', async () => {
    const { document, secrets } = await read(
      {
        webhook: { pager: { secret_file: 'w', format: 'pagerduty', workflow: 'w' } },
        slack: { signing_secret_file: 's' },
        receiver: {
          chat: { slack: { url_file: 'u' } },
          duty: { pagerduty: { routing_key_file: 'k', url: 'https://events.eu.pagerduty.com/v2/enqueue' } },
        },
      },
      { w: 'one', s: 'two\n', u: 'https://hooks.slack.com/services/T/B/x\n', k: 'three' },
    )
    expect(secrets).toMatchObject({
      WEBHOOK_SECRET_0: 'one',
      SLACK_SIGNING_SECRET: 'two',
      RECEIVER_SECRET_0: 'https://hooks.slack.com/services/T/B/x',
      RECEIVER_SECRET_1: 'three',
    })
    expect(document.coordinator).toEqual({
      webhook: { pager: { secret_env: 'WEBHOOK_SECRET_0', format: 'pagerduty', workflow: 'w' } },
      slack: { signing_secret_env: 'SLACK_SIGNING_SECRET', response_prefix: 'https://hooks.slack.com/' },
      receiver: {
        chat: { slack: { url_env: 'RECEIVER_SECRET_0' } },
        duty: {
          pagerduty: { routing_key_env: 'RECEIVER_SECRET_1', url: 'https://events.eu.pagerduty.com/v2/enqueue' },
        },
      },
    })
    expect(JSON.stringify(document)).not.toMatch(/one|two|hooks\.slack\.com\/services|three/)
  })

  test('shared with another use → refused', async () => {
    const files = { a: 'the same', b: 'the same' }
    const slack = { signing_secret_file: 'a' }
    await expect(read({ slack, webhook: { pager: { secret_file: 'b', format: 'pagerduty' } } }, files)).rejects.toThrow(
      'webhook pager and slack have the same secret',
    )
    const receiver = { duty: { pagerduty: { routing_key_file: 'b' } } }
    await expect(read({ slack, receiver }, files)).rejects.toThrow('slack and receiver duty have the same secret')
  })

  test('missing or not a URL → named, not shown', async () => {
    await expect(read({ slack: { signing_secret_file: 'no' } })).rejects.toThrow(
      "slack: its signing_secret_file can't be read",
    )
    await expect(read({ receiver: { duty: { pagerduty: { routing_key_env: 'RESILE_NO_SUCH' } } } })).rejects.toThrow(
      'receiver duty: the environment variable RESILE_NO_SUCH of its routing_key is not set',
    )
    await expect(read({ receiver: { chat: { slack: { url_file: 'u' } } } }, { u: 'T000/B000/x' })).rejects.toThrow(
      /^receiver chat: its secret is not an http:\/\/ or https:\/\/ URL$/,
    )
  })
})

describe('secrets during a rotation', () => {
  const files = { new: 'the next one', old: 'the last one', other: 'of another' }

  test('both in files → become bindings, and are watched', async () => {
    const coordinator = {
      webhook: { ci: { secret_file: 'new', previous_secret_file: 'old' } },
      slack: { signing_secret_file: 's', previous_signing_secret_file: 't' },
      receiver: { duty: { webhook: { url: 'http://duty.test/', secret_file: 'r', previous_secret_file: 'q' } } },
    }
    const { document, secrets } = await read(coordinator, { ...files, s: 'S', t: 'T', r: 'R', q: 'Q' })
    expect(secrets).toMatchObject({
      WEBHOOK_SECRET_0: 'the next one',
      WEBHOOK_SECRET_0_PREVIOUS: 'the last one',
      SLACK_SIGNING_SECRET: 'S',
      SLACK_SIGNING_SECRET_PREVIOUS: 'T',
      RECEIVER_SECRET_0: 'R',
      RECEIVER_SECRET_0_PREVIOUS: 'Q',
    })
    expect(document.coordinator).toMatchObject({
      webhook: { ci: { secret_env: 'WEBHOOK_SECRET_0', previous_secret_env: 'WEBHOOK_SECRET_0_PREVIOUS' } },
      slack: {
        signing_secret_env: 'SLACK_SIGNING_SECRET',
        previous_signing_secret_env: 'SLACK_SIGNING_SECRET_PREVIOUS',
      },
      receiver: {
        duty: { webhook: { secret_env: 'RECEIVER_SECRET_0', previous_secret_env: 'RECEIVER_SECRET_0_PREVIOUS' } },
      },
    })
    const watched = secretFiles('/p', '/d', coordinatorSchema.parse({ datacenter: 'dc1', ...coordinator }))
    expect(watched).toEqual(expect.arrayContaining(['new', 'old', 's', 't', 'r', 'q'].map((file) => `/p/${file}`)))
  })

  test('of another sender, or missing → refused', async () => {
    const other = { secret_file: 'other' }
    const both = { one: { secret_file: 'new', previous_secret_file: 'old' }, two: other }
    await expect(read({ webhook: both }, { ...files, other: files.old })).rejects.toThrow(
      'webhooks one and two have the same secret',
    )
    const slack = { signing_secret_file: 'new', previous_signing_secret_file: 'old' }
    await expect(read({ webhook: { two: other }, slack }, { ...files, other: files.old })).rejects.toThrow(
      'webhook two and slack have the same secret',
    )
    const lost = { one: { secret_file: 'new', previous_secret_env: 'RESILE_NO_SUCH' } }
    await expect(read({ webhook: lost }, files)).rejects.toThrow(
      'webhook one: the environment variable RESILE_NO_SUCH of its previous_secret is not set',
    )
  })

  test.each([
    [{ webhook: { ci: { previous_secret_env: 'A' } } }, /is required/],
    [{ webhook: { ci: { secret_env: 'A', previous_secret_env: 'B', previous_secret_file: 'b' } } }, /mutually/],
    [{ webhook: { ci: { secret_env: 'A' }, cd: { secret_env: 'B', previous_secret_env: 'A' } } }, /of webhook ci/],
    [{ slack: { previous_signing_secret_env: 'A' } }, /is required/],
    [{ receiver: { duty: { webhook: { url: 'http://duty.test/', previous_secret_env: 'A' } } } }, /replaces it/],
  ])('configuration %j → refused', (coordinator, message) => {
    expect(() => coordinatorSchema.parse({ datacenter: 'dc1', ...coordinator })).toThrow(message)
  })
})

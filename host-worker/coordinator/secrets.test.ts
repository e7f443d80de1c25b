import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type ConfigDocument, coordinatorSchema } from '../../shared/config.ts'
import { temporaryDirectory } from '../../test/support/files.ts'
import { readSecrets } from './secrets.ts'

/** Reads the secrets of a coordinator whose files hold these; `config` is what coordinator.hcl says. */
async function read(config: object, files: Record<string, string> = {}) {
  const directory = temporaryDirectory()
  for (const [name, secret] of Object.entries(files)) writeFileSync(join(directory, name), secret)
  const coordinator = coordinatorSchema.parse({ datacenter: 'dc1', ...config })
  return readSecrets(directory, directory, { coordinator: {} } as ConfigDocument, coordinator)
}

test('two webhooks can not have the same secret: a message to one would be good for the other', async () => {
  const files = { a: 'the same\n', b: 'the same\n', c: 'another\n' }
  const readHooks = async (...names: string[]) =>
    read({ webhook: Object.fromEntries(names.map((file) => [`hook-${file}`, { secret_file: file }])) }, files)
  await expect(readHooks('a', 'b')).rejects.toThrow('webhooks hook-a and hook-b have the same secret')
  await expect(readHooks('a', 'c')).resolves.toMatchObject({ secrets: { WEBHOOK_SECRET_1: 'another' } })
})

describe('the secret of a receiver', () => {
  const url = 'https://hooks.example.org'

  test('becomes a binding; a receiver without one stays as it is', async () => {
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

  test('may be that of another receiver, but not of a webhook: whoever is told could sign triggers', async () => {
    const receiver = { one: { webhook: { url, secret_file: 's' } }, two: { webhook: { url, secret_file: 's' } } }
    await expect(read({ receiver }, { s: 'secret' })).resolves.toBeDefined()
    const webhook = { ci: { secret_file: 't' } }
    await expect(read({ receiver, webhook }, { s: 'secret', t: 'secret\n' })).rejects.toThrow(
      'webhook ci and receiver two have the same secret',
    )
  })

  test('that is not there is named', async () => {
    const receiver = (place: object) => ({ receiver: { oncall: { webhook: { url, ...place } } } })
    await expect(read(receiver({ secret_file: 'no' }))).rejects.toThrow(
      "receiver oncall: its secret_file can't be read",
    )
    await expect(read(receiver({ secret_env: 'RESILE_NO_SUCH' }))).rejects.toThrow(
      'receiver oncall: the environment variable RESILE_NO_SUCH of its secret is not set',
    )
  })
})

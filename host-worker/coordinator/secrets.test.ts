import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type ConfigDocument, coordinatorSchema } from '../../shared/config.ts'
import { temporaryDirectory } from '../../test/support/files.ts'
import { readSecrets } from './secrets.ts'

test('two webhooks can not have the same secret: a message to one would be good for the other', async () => {
  const directory = temporaryDirectory()
  for (const name of ['a', 'b', 'c']) writeFileSync(join(directory, name), name === 'c' ? 'another\n' : 'the same\n')
  const read = (...files: string[]): Promise<unknown> => {
    const webhook = Object.fromEntries(files.map((file) => [`hook-${file}`, { secret_file: file }]))
    const coordinator = coordinatorSchema.parse({ datacenter: 'dc1', webhook })
    return readSecrets(directory, directory, { coordinator: {} } as ConfigDocument, coordinator)
  }
  await expect(read('a', 'b')).rejects.toThrow('webhooks hook-a and hook-b have the same secret')
  await expect(read('a', 'c')).resolves.toMatchObject({ secrets: { WEBHOOK_SECRET_1: 'another' } })
})

/** The configuration that a coordinator runs by, in its data directory: `resile diff` compares it with the files. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ConfigDocument, documentSchema } from '../../shared/config.ts'
import { CommandError } from '../process/exit-codes.ts'
import { writeIfChanged } from './write-if-changed.ts'

const fileIn = (data: string): string => join(data, 'coordinator', 'loaded.json')

/** Notes what is in use from now on. */
export async function writeLoadedDocument(data: string, document: ConfigDocument): Promise<void> {
  await mkdir(join(data, 'coordinator'), { recursive: true, mode: 0o700 })
  await writeIfChanged(fileIn(data), `${JSON.stringify(document)}\n`)
}

/**
 * What was in use last.
 *
 * @throws CommandError when no coordinator has run there, or another version of Resile has
 */
export async function readLoadedDocument(data: string): Promise<ConfigDocument> {
  const text = await readFile(fileIn(data), 'utf8').catch(() => null)
  if (text === null) throw new CommandError(`no \`resile coordinator\` has run with the data in ${data}`)
  const document = JSON.parse(text) as ConfigDocument
  if (documentSchema.safeParse(document).success) return document
  throw new CommandError(`the coordinator in ${data} runs by a configuration that this version can't read`)
}

/** A backup file: a gzipped tar archive whose last entry lists the others with their digests. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, mkdirSync } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { create, list, type ReadEntry } from 'tar'
import { z } from 'zod'
import { CommandError } from '../../process/exit-codes.ts'

/** Version of what is in the file; a newer one is refused. */
const FORMAT = 1
const MANIFEST = 'manifest.json'
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024

/** Whether a name leads to a file below a directory. */
function isPath(name: string): boolean {
  return name.split('/').every((part) => !['', '.', '..'].includes(part)) && !/[\\\p{Cc}]/u.test(name)
}

const manifestSchema = z.strictObject({
  format: z.int(),
  /** Of the Resile that has written it. */
  version: z.string(),
  created_at: z.iso.datetime(),
  /** The coordinator's files, relative to its data directory. Sizes in bytes, digests in hex. */
  files: z.array(z.strictObject({ path: z.string().refine(isPath), size: z.int(), sha256: z.string() })),
})

/** What a backup says of itself. */
export type Manifest = z.output<typeof manifestSchema>

/** What is known of a file's content. */
interface Facts {
  size: number
  sha256: string
}

/**
 * Writes an archive of files that are in a directory, and then reads it again to see that it is whole.
 *
 * @param file is made; must not be there
 * @param directory a manifest is added to it
 * @param paths relative to the directory
 * @throws CommandError when it can't be read as it was written
 */
export async function writeArchive(
  file: string,
  directory: string,
  paths: readonly string[],
  version: string,
): Promise<Manifest> {
  const odd = paths.find((path) => !isPath(path))
  if (odd !== undefined) throw new CommandError(`a file can't be saved by its name: ${JSON.stringify(odd)}`)
  const files: Manifest['files'] = []
  for (const path of paths) files.push({ path, ...(await factsOf(createReadStream(join(directory, path)))) })
  const manifest: Manifest = { format: FORMAT, version, created_at: new Date().toISOString(), files }
  await writeFile(join(directory, MANIFEST), JSON.stringify(manifest, null, 2), { mode: 0o600, flag: 'wx' })
  const archive = create({ cwd: directory, gzip: true, portable: true, strict: true }, [
    // Not one of the lists of files that tar reads after an @.
    ...paths.map((path) => `./${path}`),
    MANIFEST,
  ])
  await pipeline(archive, createWriteStream(file, { mode: 0o600, flags: 'wx' }))
  await synced(file)
  await readArchive(file, null)
  return manifest
}

/**
 * Reads an archive, and checks each file of it.
 *
 * @param directory where its files are written to; null to check alone
 * @throws CommandError when it is none, is damaged, or was written by a newer version
 */
export async function readArchive(file: string, directory: string | null): Promise<Manifest> {
  const found = new Map<string, Facts>()
  const manifestText: Buffer[] = []
  const failures: unknown[] = []
  const entries: Promise<void>[] = []
  const onReadEntry = (entry: ReadEntry): void => {
    const reading = readEntry(entry, directory, manifestText).then(({ name, ...facts }) => {
      found.set(name, facts)
    })
    entries.push(
      reading.catch((error: unknown) => {
        failures.push(error)
        entry.resume()
      }),
    )
  }
  try {
    await list({ file, strict: true, onReadEntry })
    await Promise.all(entries)
    if (failures.length > 0) throw failures[0]
  } catch (error) {
    throw new CommandError(
      `${file} can't be read as a backup: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  const manifest = parseManifest(file, Buffer.concat(manifestText).toString('utf8'))
  for (const { path, size, sha256 } of manifest.files) {
    const facts = found.get(path)
    if (facts?.size !== size || facts.sha256 !== sha256) throw new CommandError(`${file} is damaged: ${path}`)
  }
  return manifest
}

function parseManifest(file: string, text: string): Manifest {
  if (text === '') throw new CommandError(`${file} is no backup, or not all of one: it has no ${MANIFEST}`)
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    throw new CommandError(`${file} is damaged: ${MANIFEST}`)
  }
  const { data: head } = z.looseObject({ format: z.int() }).safeParse(document)
  if (head !== undefined && head.format > FORMAT) {
    throw new CommandError(
      `${file} was written by a newer version of Resile (format ${head.format}; this one reads ${FORMAT})`,
    )
  }
  const manifest = manifestSchema.safeParse(document)
  if (!manifest.success) throw new CommandError(`${file} is damaged: ${MANIFEST}`)
  return manifest.data
}

/** One entry's content: written, digested, and the manifest's kept. Only files with names that a backup has are written. */
async function readEntry(
  entry: ReadEntry,
  directory: string | null,
  manifestText: Buffer[],
): Promise<Facts & { name: string }> {
  const name = entry.path.replace(/^\.\//, '')
  if (!isPath(name) || entry.type !== 'File') throw new Error(`an entry is called ${JSON.stringify(entry.path)}`)
  if (name === MANIFEST) {
    if (entry.size > MAX_MANIFEST_BYTES) throw new Error(`${MANIFEST} is too large`)
    const kept = new Writable({
      write(chunk: Buffer, _, done) {
        manifestText.push(chunk)
        done()
      },
    })
    return { name, ...(await factsOf(entry, kept)) }
  }
  if (directory === null) return { name, ...(await factsOf(entry)) }
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  return { name, ...(await factsOf(entry, createWriteStream(path, { mode: 0o600, flags: 'wx' }))) }
}

/** Reads all of a stream. @param output gets a copy */
async function factsOf(input: AsyncIterable<Buffer>, output?: Writable): Promise<Facts> {
  const hash = createHash('sha256')
  let size = 0
  const count = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      hash.update(chunk)
      size += chunk.length
      yield chunk
    }
  }
  await pipeline(input, count, output ?? new Writable({ write: (_, __, done) => done() }))
  return { size, sha256: hash.digest('hex') }
}

async function synced(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

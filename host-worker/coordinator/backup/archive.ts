/** A backup file: a ZIP archive whose last entry lists the others with their digests. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, mkdirSync } from 'node:fs'
import { chmod, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { Unzip, type UnzipFile, UnzipInflate, Zip, ZipDeflate } from 'fflate'
import { z } from 'zod'
import { CommandError } from '../../process/exit-codes.ts'

/** Version of what is in the file; a newer one is refused. */
const FORMAT = 1
const MANIFEST = 'manifest.json'
const CHUNK_BYTES = 256 * 1024

/** Whether a name leads to a file below a directory. */
function isPath(name: string): boolean {
  return /^(?:[\w@.-]+\/)*[\w@.-]+$/.test(name) && !name.split('/').includes('..')
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

/**
 * Writes an archive of files that are in a directory, for its user alone, and then reads it again to see that it is whole.
 *
 * @param paths relative to the directory
 * @throws CommandError when it can't be read as it was written
 */
export async function writeArchive(
  file: string,
  directory: string,
  paths: readonly string[],
  version: string,
): Promise<Manifest> {
  const unfinished = `${file}.unfinished`
  const output = createWriteStream(unfinished, { mode: 0o600 })
  try {
    const zip = new Zip()
    const written = pipeZip(zip, output)
    const files: Manifest['files'] = []
    for (const path of paths) files.push({ path, ...(await addFile(zip, output, join(directory, path), path)) })
    const manifest: Manifest = { format: FORMAT, version, created_at: new Date().toISOString(), files }
    const entry = new ZipDeflate(MANIFEST)
    zip.add(entry)
    entry.push(Buffer.from(JSON.stringify(manifest, null, 2)), true)
    zip.end()
    await written
    await chmod(unfinished, 0o600)
    await synced(unfinished)
    await readArchive(unfinished, null)
    await rename(unfinished, file)
    return manifest
  } finally {
    output.destroy()
    await rm(unfinished, { force: true })
  }
}

/**
 * Reads an archive, and checks each file of it.
 *
 * @param directory where its files are written to; null to check alone
 * @throws CommandError when it is none, is damaged, or was written by a newer version
 */
export async function readArchive(file: string, directory: string | null): Promise<Manifest> {
  const found = new Map<string, { size: number; sha256: string }>()
  let manifestText = ''
  const entries: Promise<void>[] = []
  const ended = new AbortController()
  const unzip = new Unzip((entry) => {
    entries.push(
      readEntry(entry, directory, ended.signal).then(({ text, ...facts }) => {
        if (entry.name === MANIFEST) manifestText = text
        else found.set(entry.name, facts)
      }),
    )
  })
  unzip.register(UnzipInflate)
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) unzip.push(chunk as Buffer)
    unzip.push(new Uint8Array(0), true)
    ended.abort()
    await Promise.all(entries)
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(
      `${file} can't be read as a backup: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  const manifest = parseManifest(file, manifestText)
  for (const { path, size, sha256 } of manifest.files) {
    const facts = found.get(path)
    if (facts?.size !== size || facts.sha256 !== sha256) throw new CommandError(`${file} is damaged: ${path}`)
  }
  return manifest
}

function parseManifest(file: string, text: string): Manifest {
  if (text === '') throw new CommandError(`${file} is no backup, or not all of one: it has no ${MANIFEST}`)
  const document: unknown = JSON.parse(text)
  const { format } = z.looseObject({ format: z.int() }).parse(document)
  if (format > FORMAT) {
    throw new CommandError(
      `${file} was written by a newer version of Resile (format ${format}; this one reads ${FORMAT})`,
    )
  }
  return manifestSchema.parse(document)
}

/** One entry's content: written, digested, and the manifest's kept. Only names that a backup has are written. */
async function readEntry(
  entry: UnzipFile,
  directory: string | null,
  ended: AbortSignal,
): Promise<{ size: number; sha256: string; text: string }> {
  const hash = createHash('sha256')
  const parts: Buffer[] = []
  let size = 0
  const isManifest = entry.name === MANIFEST
  if (!isPath(entry.name)) throw new Error(`an entry is called ${JSON.stringify(entry.name)}`)
  const path = directory === null || isManifest ? null : join(directory, entry.name)
  if (path !== null) mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const output = path === null ? null : createWriteStream(path, { mode: 0o600 })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  ended.addEventListener('abort', () => reject(new Error(`it ends within ${entry.name}`)), { once: true })
  entry.ondata = (error, data, isLast) => {
    if (error !== null) return reject(error)
    hash.update(data)
    size += data.length
    if (isManifest) parts.push(Buffer.from(data))
    output?.write(data)
    if (isLast) resolve()
  }
  entry.start()
  await promise
  if (output !== null) {
    output.end()
    await finished(output)
  }
  return { size, sha256: hash.digest('hex'), text: Buffer.concat(parts).toString('utf8') }
}

function pipeZip(zip: Zip, output: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    output.once('error', reject)
    zip.ondata = (error, data, isLast) => {
      if (error !== null) return reject(error)
      output.write(data)
      if (isLast) output.end(() => resolve())
    }
  })
}

async function addFile(
  zip: Zip,
  output: Writable,
  file: string,
  name: string,
): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256')
  const entry = new ZipDeflate(name, { level: 6 })
  zip.add(entry)
  let size = 0
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
    size += (chunk as Buffer).length
    hash.update(chunk as Buffer)
    entry.push(chunk as Buffer)
    if (output.writableNeedDrain) await new Promise((resolve) => output.once('drain', resolve))
  }
  entry.push(new Uint8Array(0), true)
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

/** Bundles of diagnostics: what a host allows, redacted and bounded, in one ZIP file on its disk. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { strToU8, zipSync } from 'fflate'
import type { DiagnosticsConfig } from '../../../../shared/config.ts'
import { messageOf } from '../../../../shared/log.ts'
import type { BundleEntry, BundleReport } from '../../../../workflows/sdk/activities.ts'
import { readTail } from './read-tail.ts'
import { redact } from './redact.ts'

/** The sources of a bundle. */
export interface BundleSource {
  config: DiagnosticsConfig
  /** Where bundles are kept. */
  directory: string
  /** Names the file. */
  id: string
  /** Runs a read-only command, and gives at least the last bytes, at most so many, of what it said. */
  run: (name: string, most: number) => Promise<PartText>
  /** The host's state, as `summary.json`. */
  summary: () => Promise<object>
}

/** A part, before it is put in. */
interface Part {
  name: string
  /** @param most bytes that there is room for */
  read: (most: number) => Promise<PartText>
}

/** The text of a part, and whether its beginning is missing. */
export interface PartText {
  text: string
  cut: boolean
}

/** Writes a bundle; parts that can't be had say why in the report, and don't stop the others. */
export async function writeBundle(source: BundleSource): Promise<BundleReport> {
  const { config, directory, id } = source
  const parts = partsOf(source)
  const entries: BundleEntry[] = []
  const files: Record<string, Uint8Array> = {}
  let room = config.max_bytes
  for (const [index, part] of parts.entries()) {
    // What one leaves is there for those after it, and none can take it all.
    const share = Math.floor(room / (parts.length - index))
    const { entry, bytes } = await takeIn(part, share, config.redact)
    entries.push(entry)
    if (bytes !== null) files[part.name] = bytes
    room -= entry.bytes
  }
  files['manifest.json'] = strToU8(JSON.stringify({ id, at: new Date().toISOString(), entries }, null, 2))
  const zip = zipSync(files)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, `${id}.zip`)
  await writeFile(`${path}.new`, zip, { mode: 0o600 })
  await rename(`${path}.new`, path)
  await forgetOldest(directory, config.keep)
  return { path, bytes: zip.length, sha256: createHash('sha256').update(zip).digest('hex'), entries }
}

/** The content it would have. */
export function previewBundle(source: Pick<BundleSource, 'config' | 'run' | 'summary'>): BundleReport {
  const entries = partsOf(source).map(({ name }) => ({ name, bytes: 0, cut: false, redactions: 0, error: null }))
  return { path: null, bytes: 0, sha256: null, entries }
}

function partsOf({ config, run, summary }: Pick<BundleSource, 'config' | 'run' | 'summary'>): Part[] {
  const lastOf = ({ text, cut }: PartText, most: number): PartText => ({
    text: text.slice(-most),
    cut: cut || text.length > most,
  })
  return [
    {
      name: 'summary.json',
      read: async (most) => lastOf({ text: JSON.stringify(await summary(), null, 2), cut: false }, most),
    },
    ...config.commands.map((name) => ({
      name: `commands/${name}.txt`,
      read: async (most: number) => lastOf(await run(name, most), most),
    })),
    ...config.files.map((path) => ({ name: `files${path}`, read: (most: number) => readTail(path, most) })),
  ]
}

async function takeIn(
  { name, read }: Part,
  most: number,
  patterns: readonly string[],
): Promise<{ entry: BundleEntry; bytes: Uint8Array | null }> {
  try {
    const { text, cut } = await read(most)
    const redacted = await redact(text, patterns)
    const bytes = strToU8(redacted.text)
    // A mark may be longer than what it hides.
    const kept = bytes.subarray(Math.max(bytes.length - most, 0))
    const { redactions } = redacted
    const entry = { name, bytes: kept.length, cut: cut || kept.length < bytes.length, redactions, error: null }
    return { entry, bytes: kept }
  } catch (error) {
    return { entry: { name, bytes: 0, cut: false, redactions: 0, error: messageOf(error) }, bytes: null }
  }
}

async function forgetOldest(directory: string, keep: number): Promise<void> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.zip'))
  const bundles = await Promise.all(
    names.map(async (name) => ({ path: join(directory, name), at: (await stat(join(directory, name))).mtimeMs })),
  )
  const old = bundles.sort((a, b) => b.at - a.at).slice(keep)
  await Promise.all(old.map(({ path }) => rm(path, { force: true })))
}

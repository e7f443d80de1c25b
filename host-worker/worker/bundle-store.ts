/** Bundles on disk: made once, and again only when something has changed that they were made of. */
import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PACKAGE_ROOT } from '../process/package-root.ts'
import { replaceFile } from '../process/private-file.ts'
import type { WorkflowBundle, WorkflowSource } from './bundle-workflows.ts'

/** A bundle in a file. */
export interface StoredBundle {
  /** Absolute path of its code. */
  file: string
  /** Registered workflow types. */
  types: string[]
  /** Names the content. */
  id: string
}

/** The metadata of a stored bundle. */
interface Manifest extends Omit<StoredBundle, 'file'> {
  /** Digest of each file that it was made of; null for one that was not there. */
  inputs: Record<string, string | null>
}

/**
 * The bundle of workflows: the stored one while it is up to date, else a new one.
 *
 * @param data the data directory; made when missing
 * @param onFailure called for each workflow that can't be bundled and is left out, every time
 * @throws Error when it can't be written there
 */
export async function storedBundle(
  sources: readonly WorkflowSource[],
  data: string,
  onFailure: (failure: WorkflowBundle['failures'][number]) => void,
): Promise<StoredBundle> {
  const directory = join(data, 'bundles')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const manifestFile = join(directory, `${digest(JSON.stringify(sources)).slice(0, 16)}.json`)
  const known = await readManifest(manifestFile)
  if (known !== null && (await isUpToDate(known, directory))) return inDirectory(directory, known)
  // The bundler is large, and seldom needed.
  const { bundleWorkflows } = await import('./bundle-workflows.ts')
  const bundle = await bundleWorkflows(sources, directory)
  bundle.failures.forEach(onFailure)
  const { id, types } = bundle
  // Workers that start meanwhile see all of it or nothing.
  await replaceFile(join(directory, `${id}.js`), bundle.code)
  if (bundle.failures.length === 0) {
    const manifest: Manifest = { id, types, inputs: await digestsOf(inputsOf(bundle)) }
    await replaceFile(manifestFile, JSON.stringify(manifest))
  }
  return inDirectory(directory, { id, types })
}

function inDirectory(directory: string, { id, types }: Omit<StoredBundle, 'file'>): StoredBundle {
  return { file: join(directory, `${id}.js`), types, id }
}

/** The bundler's inputs and version. */
function inputsOf({ inputs }: Pick<WorkflowBundle, 'inputs'>): string[] {
  const bundler = [
    'package-lock.json',
    'node_modules/@temporalio/worker/package.json',
    'host-worker/worker/bundle-workflows.ts',
  ]
  return [...inputs, ...bundler.map((file) => join(PACKAGE_ROOT, file))]
}

async function isUpToDate({ id, inputs }: Manifest, directory: string): Promise<boolean> {
  const code = await readFile(join(directory, `${id}.js`), 'utf8').catch(() => null)
  if (code === null || digest(code).slice(0, 16) !== id) return false
  const now = await digestsOf(Object.keys(inputs))
  return Object.entries(inputs).every(([file, known]) => now[file] === known)
}

async function digestsOf(files: readonly string[]): Promise<Manifest['inputs']> {
  const entries = files.map(async (file): Promise<[string, string | null]> => {
    // A directory is no file either: only what is in it counts.
    const content = await readFile(file).catch(() => null)
    return [file, content === null ? null : digest(content)]
  })
  return Object.fromEntries(await Promise.all(entries))
}

async function readManifest(file: string): Promise<Manifest | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Manifest
  } catch {
    return null
  }
}

function digest(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

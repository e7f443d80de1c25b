/** The Worker as one module for workerd, made once, and again only when one of its files has changed. */
import { createHash } from 'node:crypto'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Plugin } from 'esbuild'
import { PACKAGE_ROOT } from '../process/package-root.ts'
import { writeIfChanged } from './write-if-changed.ts'

/** Names of the bundle and of the configuration module beside it. */
export const BUNDLE_MODULE = 'worker.js'
export const CONFIG_MODULE = 'config.json'
const MANIFEST = 'worker.inputs.json'

/** What a bundle was made of. */
interface Manifest {
  /** SHA-256 of the bundle, in hex. */
  digest: string
  /** {@link versionOf} each file. */
  inputs: Record<string, string>
}

/**
 * The bundle in a directory. The configuration is a separate module, so that a config change needs no new one.
 *
 * @param directory made when missing; for its user alone
 * @returns the bundle's source text
 */
export async function storedWorker(directory: string): Promise<string> {
  const stored = await readStored(directory)
  if (stored !== null) return stored
  const { code, inputs } = await bundleWorker()
  const files = [...inputs, ...BUNDLER]
  const versions = await Promise.all(files.map(async (file) => [file, await versionOf(file)] as const))
  const manifest: Manifest = { digest: digest(code), inputs: Object.fromEntries(versions) }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeIfChanged(join(directory, BUNDLE_MODULE), code)
  await writeIfChanged(join(directory, MANIFEST), JSON.stringify(manifest))
  return code
}

/** Null when there is none, or it is not what would be made now. */
async function readStored(directory: string): Promise<string | null> {
  try {
    const code = await readFile(join(directory, BUNDLE_MODULE), 'utf8')
    const manifest = JSON.parse(await readFile(join(directory, MANIFEST), 'utf8')) as Manifest
    if (digest(code) !== manifest.digest) return null
    const unchanged = Object.entries(manifest.inputs).map(
      async ([file, version]) => (await versionOf(file).catch(() => null)) === version,
    )
    return (await Promise.all(unchanged)).every(Boolean) ? code : null
  } catch {
    return null
  }
}

/** What decides, besides the inputs, what a bundle is like. */
const BUNDLER = ['node_modules/esbuild/package.json', 'package-lock.json', 'host-worker/coordinator/bundle.ts'].map(
  (file) => join(PACKAGE_ROOT, file),
)

async function versionOf(file: string): Promise<string> {
  const { size, mtimeMs } = await stat(file)
  return `${size} ${mtimeMs}`
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

async function bundleWorker(): Promise<{ code: string; inputs: string[] }> {
  // Large, seldom needed, and its process would live as long as this one.
  const { build, stop } = await import('esbuild')
  try {
    const { outputFiles, metafile } = await build({
      entryPoints: [join(PACKAGE_ROOT, 'edge/worker.ts')],
      absWorkingDir: PACKAGE_ROOT,
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      target: 'es2024',
      conditions: ['workerd', 'worker', 'browser', 'import', 'default'],
      external: ['cloudflare:*', 'node:*'],
      logLevel: 'silent',
      plugins: [configModule, requiredBuiltins],
    })
    const [file] = outputFiles
    if (file === undefined) throw new Error('esbuild wrote no bundle of the coordinator')
    const inputs = Object.keys(metafile.inputs).filter((input) => !input.startsWith(`${BUILTIN}:`))
    return { code: file.text, inputs: inputs.map((input) => resolve(PACKAGE_ROOT, input)) }
  } finally {
    await stop()
  }
}

const configModule: Plugin = {
  name: 'config-module',
  setup(build) {
    build.onResolve({ filter: /^resile:config$/ }, () => ({ path: `./${CONFIG_MODULE}`, external: true }))
  },
}

/** The namespace of Node's own modules. */
const BUILTIN = 'builtin'

/** CommonJS packages `require('util')`; an ES module for workerd can only import it, under its full name. */
const requiredBuiltins: Plugin = {
  name: 'required-builtins',
  setup(build) {
    build.onResolve({ filter: /^util$/ }, ({ path }) => ({ path, namespace: BUILTIN }))
    build.onLoad({ filter: /.*/, namespace: BUILTIN }, ({ path }) => ({ contents: `export * from 'node:${path}'` }))
  },
}

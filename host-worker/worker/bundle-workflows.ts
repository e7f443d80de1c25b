/** Bundles the project's workflows and Resile's interceptors for Temporal's workflow sandbox. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BundleOptions, bundleWorkflowCode } from '@temporalio/worker'
import { PACKAGE_ROOT } from '../process/package-root.ts'
import { quietLogger } from './temporal-logger.ts'

/** One workflow function to register. */
export interface WorkflowSource {
  /** Name of the exported function. */
  type: string
  /** Absolute path of the module. */
  code: string
}

/** A bundle, and what is in it. */
export interface WorkflowBundle {
  code: string
  /** Registered workflow types. */
  types: string[]
  /** Names the content: SHA-256, the first 16 hex digits. */
  id: string
  /** Workflows that could not be bundled, with the reason; they are not registered. */
  failures: { type: string; code: string; message: string }[]
  /** The files that it was made of, and those that would have been taken instead if they were there. Absolute. */
  inputs: string[]
}

/**
 * Bundles workflows. One that can't be bundled doesn't take the others with it: it is left out and reported.
 *
 * @param scratch directory for a temporary file, and for webpack's cache of the SDK; made when missing
 */
export async function bundleWorkflows(sources: readonly WorkflowSource[], scratch: string): Promise<WorkflowBundle> {
  const all = await tryBundle(sources, scratch)
  if (typeof all !== 'string') return { ...named(all.code), inputs: all.inputs, types: typesOf(sources), failures: [] }
  const good: WorkflowSource[] = []
  const failures: WorkflowBundle['failures'] = []
  for (const source of sources) {
    const alone = await tryBundle([source], scratch)
    if (typeof alone === 'string') failures.push({ ...source, message: alone })
    else good.push(source)
  }
  const rest = await tryBundle(good, scratch)
  if (typeof rest === 'string') throw new Error(`the workflows can't be bundled: ${rest}`)
  return { ...named(rest.code), inputs: rest.inputs, types: typesOf(good), failures }
}

/** @returns the bundle, or why there is none */
async function tryBundle(
  sources: readonly WorkflowSource[],
  scratch: string,
): Promise<{ code: string; inputs: string[] } | string> {
  await mkdir(scratch, { recursive: true })
  const cacheDirectory = await cacheIn(scratch)
  const directory = await mkdtemp(join(scratch, 'bundle-'))
  const problems: string[] = []
  const inputs = new Set<string>()
  try {
    const entry = join(directory, 'workflows.ts')
    await writeFile(
      entry,
      sources.map(({ type, code }) => `export { ${type} } from ${JSON.stringify(code)}\n`).join('') || 'export {}\n',
    )
    const { code } = await bundleWorkflowCode({
      workflowsPath: entry,
      workflowInterceptorModules: [join(PACKAGE_ROOT, 'workflows/sdk/interceptors.ts')],
      logger: quietLogger((line) => problems.push(line)),
      webpackConfigHook: (config) => ({
        ...config,
        // What matters is the SDK, which is in it after the first time: to write it again would cost more than it saves.
        cache: { type: 'filesystem', cacheDirectory, readonly: existsSync(cacheDirectory) },
        plugins: [...(config.plugins ?? []), inputsInto(inputs)],
        resolve: {
          ...config.resolve,
          // A project may be anywhere, without packages: these always come from Resile.
          alias: {
            ...namedAliases(config.resolve?.alias),
            '@temporalio': join(PACKAGE_ROOT, 'node_modules/@temporalio'),
            'resile/workflow': join(PACKAGE_ROOT, 'workflows/sdk/index.ts'),
          },
        },
      }),
    })
    return { code, inputs: [...inputs].filter((path) => !path.startsWith(directory)) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [...problems, message].join('\n').trim()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Webpack's cache for the installed packages; those of others are removed. */
async function cacheIn(scratch: string): Promise<string> {
  const lock = await readFile(join(PACKAGE_ROOT, 'package-lock.json'))
  const name = `${CACHE_PREFIX}${createHash('sha256').update(lock).digest('hex').slice(0, 16)}`
  const others = (await readdir(scratch)).filter((other) => other.startsWith(CACHE_PREFIX) && other !== name)
  await Promise.all(others.map((other) => rm(join(scratch, other), { recursive: true, force: true })))
  return join(scratch, name)
}

const CACHE_PREFIX = 'webpack-'

type WebpackConfig = Parameters<NonNullable<BundleOptions['webpackConfigHook']>>[0]
type WebpackPlugin = NonNullable<WebpackConfig['plugins']>[number]

/** Records which files webpack has read, and which it has searched for. */
function inputsInto(inputs: Set<string>): WebpackPlugin {
  return {
    apply: (compiler) =>
      compiler.hooks.done.tap('inputs', ({ compilation }) => {
        for (const path of [...compilation.fileDependencies, ...compilation.missingDependencies]) inputs.add(path)
      }),
  }
}

function named(code: string): { code: string; id: string } {
  return { code, id: createHash('sha256').update(code).digest('hex').slice(0, 16) }
}

function typesOf(sources: readonly WorkflowSource[]): string[] {
  return sources.map(({ type }) => type)
}

/** Temporal's own aliases; webpack knows a list form too, which can't be joined with ours and isn't used. */
function namedAliases(alias: unknown): Record<string, string> {
  return typeof alias === 'object' && alias !== null && !Array.isArray(alias) ? (alias as Record<string, string>) : {}
}

import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { PACKAGE_ROOT } from '../process/package-root.ts'

/** Name of the configuration module beside the bundle. */
export const CONFIG_MODULE = 'config.json'

/**
 * Bundles the Worker for workerd. The configuration is a separate module, so that a config change needs no new
 * bundle.
 *
 * @returns the bundle's source text
 */
export async function bundleWorker(): Promise<string> {
  const result = await build({
    entryPoints: [join(PACKAGE_ROOT, 'edge/worker.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser', 'import', 'default'],
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'silent',
    plugins: [configModule, requiredBuiltins],
  })
  const [file] = result.outputFiles
  if (file === undefined) throw new Error('esbuild wrote no bundle of the coordinator')
  return file.text
}

const configModule: Plugin = {
  name: 'config-module',
  setup(build) {
    build.onResolve({ filter: /^resile:config$/ }, () => ({ path: `./${CONFIG_MODULE}`, external: true }))
  },
}

/** CommonJS packages `require('util')`; an ES module for workerd can only import it, under its full name. */
const requiredBuiltins: Plugin = {
  name: 'required-builtins',
  setup(build) {
    build.onResolve({ filter: /^util$/ }, ({ path }) => ({ path, namespace: 'builtin' }))
    build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({ contents: `export * from 'node:${path}'` }))
  },
}

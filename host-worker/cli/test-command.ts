import { join, resolve } from 'node:path'
import { list } from '../config/directory.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { PACKAGE_ROOT } from '../process/package-root.ts'

/**
 * `resile test`: runs the tests of a project's workflows under Resile's own Node, vitest and Temporal, wherever the
 * project is: it needs no packages.
 *
 * @param filters parts of the paths of the test files to run; none: all of them
 */
export async function test(filters: string[], options: { project: string }): Promise<void> {
  const root = resolve(options.project)
  const listing = await list(root)
  if (typeof listing === 'string') throw new CommandError(`${root} can't be read: ${listing}`)
  const { startVitest } = await import('vitest/node').catch((error: unknown) => {
    throw new CommandError(`tests need Resile's development packages, which npm run setup installs: ${String(error)}`)
  })
  const vitest = await startVitest(
    'test',
    filters,
    {
      root,
      config: false,
      include: ['workflows/**/*.test.ts'],
      // A rig starts a Temporal server.
      testTimeout: 60_000,
      hookTimeout: 120_000,
      watch: false,
      // A project is its author's: nothing is written into it.
      cache: false,
      fsModuleCache: false,
    },
    { resolve: { alias: OWN_PACKAGES } },
  )
  await vitest.close()
  // Set by vitest when anything at all went wrong.
  process.exitCode = process.exitCode === undefined ? EXIT.ok : EXIT.failed
}

/** The modules that a test may import besides its own files, and Resile's copies of them. */
const OWN_PACKAGES = [
  { find: 'resile/testing', replacement: join(PACKAGE_ROOT, 'host-worker/testing/workflow-rig.ts') },
  { find: 'resile/workflow', replacement: join(PACKAGE_ROOT, 'workflows/sdk/index.ts') },
  { find: /^vitest$/, replacement: join(PACKAGE_ROOT, 'node_modules/vitest/dist/index.js') },
  { find: /^@temporalio\//, replacement: `${join(PACKAGE_ROOT, 'node_modules/@temporalio')}/` },
]

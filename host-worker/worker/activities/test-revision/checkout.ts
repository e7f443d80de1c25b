/** Throw-away checkouts of a git repository. */
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { log, messageOf } from '../../../../shared/log.ts'

/** Runs one step of a checkout. @throws Error when it fails */
export type RunStep = (argv: string[], directory: string, env: Record<string, string>) => Promise<string>

/** A checkout. */
export interface Checkout {
  /** The working tree. */
  directory: string
  /** An empty home directory for what runs in it. */
  home: string
  /** The commit that is checked out. */
  commit: string
}

/** Git never prompts, runs no hooks of the repository, and takes no transport that runs programs. */
const GIT = [
  'git',
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'protocol.ext.allow=never',
  '-c',
  'advice.detachedHead=false',
]
const GIT_ENV = { GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' }

/** Checkouts that this process works in: all others are left over from a worker that died. */
const inUse = new Set<string>()

/**
 * Checks a revision out, does something in it, and removes it, whatever happens.
 *
 * @param parent where checkouts are made; what a worker that died has left there is removed
 */
export async function inCheckout<Result>(
  parent: string,
  { url, revision }: { url: string; revision: string },
  run: RunStep,
  work: (checkout: Checkout) => Promise<Result>,
): Promise<Result> {
  await mkdir(parent, { recursive: true, mode: 0o700 })
  await removeLeftovers(parent)
  const root = join(parent, `checkout-${randomUUID()}`)
  // Before it is there: another that begins now must not take it for a leftover.
  inUse.add(root)
  try {
    await mkdir(root, { mode: 0o700 })
    const [directory, home] = [join(root, 'tree'), join(root, 'home')]
    await mkdir(directory)
    await mkdir(home)
    const git = (...args: string[]): Promise<string> => run([...GIT, ...args], directory, { ...GIT_ENV, HOME: home })
    await git('init', '--quiet')
    await git('fetch', '--quiet', '--depth=1', '--no-tags', '--', url, revision)
    await git('checkout', '--quiet', '--detach', 'FETCH_HEAD')
    const commit = (await git('rev-parse', 'HEAD')).trim()
    return await work({ directory, home, commit })
  } finally {
    await removeTree(root)
    inUse.delete(root)
  }
}

/** Removes checkouts that no process uses. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name)
    if (!inUse.has(path)) await removeTree(path)
  }
}

/** Never throws: what a test has made so that it can't be removed must not hide its outcome, nor stop those after it. */
async function removeTree(path: string): Promise<void> {
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 3 })
  try {
    await remove().catch(async (error: unknown) => {
      // Root needs no leave; and a link that a test swaps in must not have it change the mode of another's directory.
      if (process.getuid?.() === 0) throw error
      await openDirectories(path)
      await remove()
    })
  } catch (error) {
    log('warn', 'checkout_not_removed', { path, detail: messageOf(error) })
  }
}

/** Lets their owner into all directories of a tree: some tools make what they have fetched read-only. */
async function openDirectories(path: string): Promise<void> {
  await chmod(path, 0o700)
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await openDirectories(join(path, entry.name))
  }
}

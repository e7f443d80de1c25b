/** The program as it is installed: /usr/lib/resile with Node, workerd, the npm packages and our code, and /usr/bin/resile. */
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { copyFiles, filesBelow, putFile } from './files.ts'
import { isDependency, isProgram } from './prune.ts'
import type { Target } from './target.ts'

/** Where the program is, relative to the root of a tree. */
const LIBRARY = 'usr/lib/resile'
/** The command, relative to it too. */
export const LAUNCHER_PATH = 'usr/bin/resile'
/** Of `exec`, so that the daemon is the process that systemd started. */
export const LAUNCHER = `#!/bin/sh
set -eu
library="$(dirname "$(readlink -f "$0")")/../lib/resile"
exec "$library/bin/node" --disable-warning=ExperimentalWarning "$library/host-worker/cli/main.ts" "$@"
`

/**
 * Installs the program into a tree.
 *
 * @param repository its files, as git has them
 * @param tree where /usr begins
 * @param scratch for npm
 * @param say told of each step
 */
export async function installProgram(
  repository: string,
  tree: string,
  target: Target,
  scratch: string,
  say: (line: string) => void,
): Promise<void> {
  const library = join(tree, LIBRARY)
  const { stdout } = await execa('git', ['ls-files', '-z'], { cwd: repository })
  await copyFiles(repository, library, stdout.split('\0').filter(isProgram))
  say(`npm packages for linux-${target.cpu}`)
  const packages = await npmPackages(repository, target, scratch)
  const wanted = (await filesBelow(packages)).filter((path) => isDependency(path, target))
  await copyFiles(packages, join(library, 'node_modules'), wanted)
  say(`Node for linux-${target.cpu}`)
  const node = await npmPackages(join(repository, 'tools/node'), target, scratch)
  const nodePackage = join(node, `node-linux-${target.cpu}`)
  await mkdir(join(library, 'bin'), { recursive: true })
  await cp(join(nodePackage, 'bin/node'), join(library, 'bin/node'))
  await cp(join(nodePackage, 'LICENSE'), join(library, 'bin/LICENSE.node')).catch(() => undefined)
  await strip(library, target)
  await putFile(join(tree, LAUNCHER_PATH), LAUNCHER)
}

/** Installs a package's dependencies for another machine. @returns the node_modules folder */
async function npmPackages(folder: string, { cpu }: Target, scratch: string): Promise<string> {
  const directory = await mkdtemp(join(scratch, 'npm-'))
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) {
    await cp(join(folder, file), join(directory, file)).catch((error: unknown) => {
      if (file !== '.npmrc') throw error
    })
  }
  const flags = ['--omit=dev', '--include=optional', '--ignore-scripts', '--os=linux', `--cpu=${cpu}`, '--libc=glibc']
  await execa('npm', ['ci', ...flags, '--no-audit', '--no-fund'], { cwd: directory })
  return join(directory, 'node_modules')
}

/** Removes the symbols of native programs, half of their size. */
async function strip(library: string, { strip: command, stripPackage, triple }: Target): Promise<void> {
  const files = (await filesBelow(library)).filter(
    (path) =>
      path === 'bin/node' ||
      /^node_modules\/@cloudflare\/workerd-[^/]+\/bin\/workerd$/.test(path) ||
      path.includes(`/releases/${triple}/`),
  )
  try {
    await execa(command, ['--strip-unneeded', ...files.map((path) => join(library, path))])
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw isMissing ? new Error(`${command} is missing: install the Debian package ${stripPackage}`) : error
  }
}

/** The command, the native programs, and the scripts of a Debian package; npm packages have commands of their own that nobody calls. */
const EXECUTABLE =
  /^(?:usr\/)?(?:bin\/resile|lib\/resile\/bin\/node|lib\/resile\/node_modules\/@(?:cloudflare\/workerd|esbuild)[-/][^/]+\/bin\/\w+)$|^DEBIAN\/(?:postinst|prerm|postrm)$/

/** Whether a file of a tree is run as a program. @param path relative to the tree, or to its /usr */
export function isExecutable(path: string): boolean {
  return EXECUTABLE.test(path)
}

/** A directory that is removed when the action is over. */
export async function withDirectory<T>(parent: string, action: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(parent, 'resile-package-'))
  try {
    return await action(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

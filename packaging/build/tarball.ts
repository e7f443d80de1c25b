/** The archive for systems without Debian's package manager. */
import { cp, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { normalise } from './files.ts'
import { isExecutable } from './program.ts'

/**
 * Packs a tree's program with units and examples, below one directory.
 *
 * @param tree is changed
 * @param scratch on the same file system
 * @param name of the directory in the archive
 * @param at the time of everything in it, in seconds since the epoch
 */
export async function buildTarball(
  repository: string,
  { tree, scratch }: { tree: string; scratch: string },
  name: string,
  file: string,
  at: number,
): Promise<void> {
  const directory = join(scratch, name)
  await rename(join(tree, 'usr'), directory)
  for (const folder of ['systemd', 'etc']) {
    await cp(join(repository, 'packaging', folder), join(directory, 'share/resile', folder), { recursive: true })
  }
  await normalise(directory, isExecutable, at)
  const flags = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  await execa('tar', [...flags, '-C', scratch, '--use-compress-program=xz -6 -T1', '-cf', file, name])
}

import { type FileState, FollowedFile } from './followed-file.ts'

/**
 * A file that was gone, and is back under its name (a late mount, a directory that was moved away, a link that leads to
 * an older release again), or replaced by a copy (rsync), goes on where it was.
 *
 * @param current  opened, to be read from its beginning
 * @param files    those that are followed, the newest last
 * @param departed where others of the path were read to, the newest first
 * @returns whether it is one of them
 */
export async function resume(
  current: FollowedFile,
  files: readonly FollowedFile[],
  departed: readonly FileState[],
): Promise<boolean> {
  const gone = files.filter((file) => file.links === 0 && file.position > 0)
  for (const other of [...gone.reverse(), ...departed.map((state) => FollowedFile.restore(state))]) {
    if (await current.resumes(other)) return true
  }
  return false
}

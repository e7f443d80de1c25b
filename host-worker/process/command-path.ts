import { delimiter } from 'node:path'

/**
 * The PATH for programs that Resile runs for others: the one that it was started with, without the folders that its
 * launcher has added for its own programs (tools/runtime.mjs), in which there are another Node and tools of Resile's.
 */
export function commandPath({ PATH, RESILE_ADDED_PATH }: NodeJS.ProcessEnv = process.env): string | undefined {
  const added = new Set(RESILE_ADDED_PATH?.split(delimiter))
  return PATH?.split(delimiter)
    .filter((folder) => !added.has(folder))
    .join(delimiter)
}

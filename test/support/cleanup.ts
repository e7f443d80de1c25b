/** What a test file opened and must not leave behind, whatever happens in it. */
import { afterAll } from 'vitest'

const open = new Set<() => unknown>()

/** Closes something at the end of the file; the returned function does so earlier. */
export function atEnd(close: () => unknown): () => Promise<void> {
  const once = async () => {
    if (open.delete(once)) await close()
  }
  open.add(once)
  return once
}

// When the run is killed, so is what its files started: by what `run` does as this process exits.
process.once('disconnect', () => process.exit(1))

// The last opened first: a directory goes after the processes that write to it.
afterAll(async () => {
  for (const close of [...open].reverse()) await close()
})

/** SIGHUP, by which a daemon is told to read its configuration again. */
import pLimit from 'p-limit'

/** Lets a SIGHUP do nothing while a daemon starts: it would end the process otherwise, and the files are read anyway. */
export function ignoreHangups(): void {
  process.on('SIGHUP', () => undefined)
}

/**
 * Acts on each SIGHUP, one after the other.
 *
 * @param action must not throw
 * @returns ends that, and waits for what is under way
 */
export function onHangup(action: () => Promise<void>): () => Promise<void> {
  const turns = pLimit(1)
  const listener = (): void => void turns(action)
  process.on('SIGHUP', listener)
  return async () => {
    process.off('SIGHUP', listener)
    await turns(() => undefined)
  }
}

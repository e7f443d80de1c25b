import { mkdir } from 'node:fs/promises'
import { DataDirectoryInUse, type DataLock, lockDataDirectory } from './data-lock.ts'
import { CommandError } from './exit-codes.ts'

/**
 * Takes a data directory for this process alone; makes it, for its user alone, when it is missing.
 *
 * @param what what runs there, as its user calls it
 * @throws CommandError when another one runs there
 */
export async function lockOrFail(data: string, what: string): Promise<DataLock> {
  await mkdir(data, { recursive: true, mode: 0o700 })
  try {
    return await lockDataDirectory(data)
  } catch (error) {
    if (error instanceof DataDirectoryInUse) throw new CommandError(`another ${what} runs here: ${error.message}`)
    throw error
  }
}

import { statSync } from 'node:fs'
import { DataDirectoryInUse, type DataLock, lockDataDirectory } from './data-lock.ts'
import { CommandError } from './exit-codes.ts'
import { ensurePrivateDirectory, Untrusted } from './file-trust.ts'

/**
 * Takes a data directory for this process alone; makes it, for its user alone, when it is missing.
 *
 * @param what what runs there, as its user calls it
 * @param project the project's directory
 * @throws CommandError when another one runs there, or others could change what is in it
 */
export async function lockOrFail(data: string, what: string, project: string): Promise<DataLock> {
  try {
    // The project's owner is trusted already: its files say what is run.
    ensurePrivateDirectory(data, [statSync(project).uid])
    return await lockDataDirectory(data)
  } catch (error) {
    if (error instanceof DataDirectoryInUse) throw new CommandError(`another ${what} runs here: ${error.message}`)
    if (error instanceof Untrusted) throw new CommandError(`the data directory is not safe: ${error.message}`)
    throw error
  }
}

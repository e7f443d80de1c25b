/** How a reload went: the process that reloads says it in its data directory, and `resile reload` waits for it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { log, messageOf } from '../../shared/log.ts'
import { replaceFile } from './private-file.ts'

const RELOAD_FILE = 'reload.json'

const resultSchema = z.object({
  /** When it was over. */
  at: z.iso.datetime(),
  /** Changes of files before this time were read. */
  read_at: z.iso.datetime(),
  /** Of the process that reloaded. */
  pid: z.int().positive(),
  /** Why the old configuration is kept, in lines; none when the new one is in use. */
  problems: z.array(z.string()),
  /** Names the configuration that is in use now. */
  hash: z.string(),
  loaded_at: z.iso.datetime(),
})

/** The outcome of one reload. */
export type ReloadResult = z.output<typeof resultSchema>

/** Says in the log and in the data directory how a reload went. Never throws: without room on the disk, the log has it. */
export async function reportReload(data: string, outcome: Omit<ReloadResult, 'at' | 'pid'>): Promise<void> {
  const { problems, hash } = outcome
  if (problems.length === 0) log('info', 'config_reloaded', { hash })
  else log('error', 'config_not_reloaded', { hash, detail: problems.join('\n') })
  const result: ReloadResult = { at: new Date().toISOString(), pid: process.pid, ...outcome }
  try {
    await replaceFile(join(data, RELOAD_FILE), `${JSON.stringify(result)}\n`)
  } catch (error) {
    log('warn', 'reload_result_not_written', { detail: messageOf(error) })
  }
}

/** The outcome of the last reload; null when there was none. */
export async function readReloadResult(data: string): Promise<ReloadResult | null> {
  try {
    return resultSchema.parse(JSON.parse(await readFile(join(data, RELOAD_FILE), 'utf8')))
  } catch {
    return null
  }
}

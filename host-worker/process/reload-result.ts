/** How a reload went: the process that reloads says it in its data directory, and `resile reload` waits for it. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

const RELOAD_FILE = 'reload.json'

const resultSchema = z.object({
  /** When it was over. */
  at: z.iso.datetime(),
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

/** Writes the outcome at one stroke. */
export async function writeReloadResult(data: string, result: Omit<ReloadResult, 'at' | 'pid'>): Promise<void> {
  const path = join(data, RELOAD_FILE)
  const content: ReloadResult = { at: new Date().toISOString(), pid: process.pid, ...result }
  await writeFile(`${path}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** The outcome of the last reload; null when there was none. */
export async function readReloadResult(data: string): Promise<ReloadResult | null> {
  try {
    return resultSchema.parse(JSON.parse(await readFile(join(data, RELOAD_FILE), 'utf8')))
  } catch {
    return null
  }
}

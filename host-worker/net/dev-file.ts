import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { CommandError } from '../process/exit-codes.ts'

/** Name of the file in the data directory that says how to reach a running `resile dev`. */
export const DEV_FILE = 'dev.json'

/** The addresses of what runs. */
export interface DevFile {
  /** Of `resile dev` itself. */
  pid: number
  coordinator: string
  /** Path of the coordinator's unix socket. */
  socket: string
  /** `HOST:PORT` of Temporal's gRPC. */
  temporal: string
  temporal_http: string
  /** Null when Temporal is not `resile dev`'s own. */
  ui: string | null
  /** Directory of the certificates that callers may use; null without TLS. */
  certificates: string | null
  /** URLs of the workers' own metrics, by node. */
  metrics: Record<string, string>
  processes: { role: string; name: string; pid: number }[]
}

/**
 * Where the coordinator of a running `resile dev` listens, and its pid; null when none has written that.
 *
 * @throws CommandError when the file is none of its kind
 */
export async function readDevFile(directory: string): Promise<Pick<DevFile, 'socket' | 'pid'> | null> {
  const path = join(directory, DEV_FILE)
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return null
  try {
    return z.object({ socket: z.string().startsWith('/'), pid: z.int().positive() }).parse(JSON.parse(text))
  } catch {
    throw new CommandError(`${path} does not say where \`resile dev\` listens: remove it, and start that again`)
  }
}

/** Writes the file at one stroke, so that no reader ever sees half of it. */
export async function writeDevFile(directory: string, content: DevFile): Promise<void> {
  const path = join(directory, DEV_FILE)
  await writeFile(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`)
  await rename(`${path}.new`, path)
}

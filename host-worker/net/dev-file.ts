import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

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

/** Writes the file at one stroke, so that no reader ever sees half of it. */
export async function writeDevFile(directory: string, content: DevFile): Promise<void> {
  const path = join(directory, DEV_FILE)
  await writeFile(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`)
  await rename(`${path}.new`, path)
}

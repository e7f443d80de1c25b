/** Projects of a few files, and what checking them finds. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach } from 'vitest'
import { formatDiagnostic } from './check.ts'
import { loadProject } from './project.ts'

const made: string[] = []

afterEach(async () => {
  await Promise.all(made.splice(0).map((dir) => rm(dir, { recursive: true })))
})

/** A directory with these files; null makes a directory. */
export async function directory(files: Record<string, string | Uint8Array | null>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'resile-project-'))
  made.push(dir)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(content === null ? join(dir, name) : dirname(join(dir, name)), { recursive: true })
    if (content !== null) await writeFile(join(dir, name), content)
  }
  return dir
}

export async function load(files: Record<string, string | Uint8Array | null>, overlays: string[] = []) {
  const loaded = await loadProject(await directory(files), { development: true, overlays })
  return {
    ...loaded,
    errors: loaded.errors.map((error) => formatDiagnostic(error)),
    warnings: loaded.warnings.map((warning) => formatDiagnostic(warning, 'warning')),
  }
}

export const coordinator = 'datacenter = "dc1"\n'
export const onNode = 'task_queue_target = "node"\n'
export const code = 'export async function restartService(): Promise<void> {}\n'
export const worker =
  'node = "web-1"\ndatacenter = "dc1"\ncommand "restart" {\n  argv = ["true"]\n  workflows = ["restart-service"]\n}\n'
export const detector = (name: string, workflow: string, more = 'target { node = "web-1" }') =>
  `detector "${name}" {\n  workflow = "${workflow}"\n  interval = "1s"\n  ${more}\n  http_check { url = "http://127.0.0.1/" }\n}\n`

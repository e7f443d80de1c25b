import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { loadOrFail } from '../config/load-or-fail.ts'
import { CommandError } from '../process/exit-codes.ts'

/** `resile compile`: HCL in, the coordinator's JSON document out. */
export async function compileProject(options: { project: string; out: string; development?: boolean }): Promise<void> {
  const development = options.development ?? false
  const { document, coordinator } = await loadOrFail(options.project, { development })
  if (coordinator.server_config === undefined && !development) {
    throw new CommandError(
      'coordinator.hcl has no server_config: without route rules only `resile dev` and `wrangler dev` run it',
    )
  }
  for (const [name, { secret_file }] of Object.entries(coordinator.webhook)) {
    if (secret_file === undefined) continue
    throw new CommandError(
      `webhook ${name}: a Worker reads no secret_file; name a secret of the Worker with secret_env`,
    )
  }
  await mkdir(dirname(options.out), { recursive: true })
  await writeFile(options.out, `${JSON.stringify(document, null, 2)}\n`)
  console.error(`compiled ${options.project} (${document.hash}) to ${options.out}`)
}

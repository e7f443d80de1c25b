/** Reads the configuration again while a coordinator runs, and applies all of it or nothing. */
import { documentSchema } from '../../shared/config.ts'
import { messageOf } from '../../shared/log.ts'
import { formatDiagnostic } from '../config/check.ts'
import { loadProject, type Project } from '../config/project.ts'
import { CommandError } from '../process/exit-codes.ts'
import { onHangup } from '../process/hangups.ts'
import { reportReload } from '../process/reload-result.ts'
import { untilAborted } from '../process/stop-signal.ts'
import { ChildStartError } from '../process/supervisor.ts'
import type { Backend } from './backend.ts'
import { bodyRule } from './front/body-rule.ts'
import type { Front, FrontOptions } from './front/front.ts'
import { BadTlsFile } from './front/server-tls.ts'
import { certificatesDirectory } from './secrets.ts'
import { serverTlsFiles } from './tls-files.ts'

/** Reloads on SIGHUP, until stopped. */
export async function watchReloads(backend: Backend, front: Front, data: string, signal: AbortSignal): Promise<void> {
  const end = onHangup(() => reload(backend, front, data))
  await untilAborted(signal)
  await end()
}

async function reload(backend: Backend, front: Front, data: string): Promise<void> {
  const readAt = new Date()
  let problems: string[]
  try {
    await front.reload()
    problems = await apply(backend, front, data)
  } catch (error) {
    problems = [messageOf(error)]
  }
  const { project, at } = backend.loaded
  await reportReload(data, {
    read_at: readAt.toISOString(),
    problems,
    hash: project.document.hash,
    loaded_at: at.toISOString(),
  })
}

/** @returns why the old configuration is kept, in lines; none when the new one is in use */
async function apply(backend: Backend, front: Front, data: string): Promise<string[]> {
  const old = backend.loaded.project
  const { project, errors } = await loadProject(old.dir, { development: false })
  if (project === null) return errors.map((error) => formatDiagnostic(error))
  try {
    refuseWithoutRules(project)
    refuseMove(old, project)
    const useInFront = await front.prepare(await frontSettings(project, data))
    await backend.replace({ project, at: new Date() }, useInFront)
    return []
  } catch (error) {
    if (error instanceof ChildStartError) return [`the coordinator does not start with it: ${error.message}`]
    if (error instanceof CommandError || error instanceof BadTlsFile) return error.message.split('\n')
    throw error
  }
}

/** @throws CommandError without any rule */
export function refuseWithoutRules({ coordinator }: Project): void {
  if ((coordinator.server_config?.route_rule.length ?? 0) > 0) return
  throw new CommandError(
    'coordinator.hcl has no route rules: no caller would be authorised. Write server_config { route_rule { … } }; ' +
      'only `resile dev` runs without',
  )
}

/** What the front needs of a project. @throws CommandError that names each file that is missing */
export async function frontSettings(
  { coordinator, dir, document }: Project,
  data: string,
): Promise<Pick<FrontOptions, 'tls' | 'bodies'>> {
  const server = coordinator.server_config
  const tls = server?.enable_tls === true ? await serverTlsFiles(dir, certificatesDirectory(data), server) : null
  return { tls, bodies: bodyRule(documentSchema.parse(document)) }
}

/** @throws CommandError for what can't change while it runs */
function refuseMove({ coordinator: now }: Project, { coordinator: then }: Project): void {
  for (const key of ['listen', 'enable_tls'] as const) {
    if (now.server_config?.[key] === then.server_config?.[key]) continue
    throw new CommandError(`server_config.${key} has changed, which needs a restart`)
  }
}

/** A datacenter on this machine, for as long as something is measured in it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CoordinatorClient } from '../../host-worker/net/coordinator-client.ts'
import { startGuardian } from '../../host-worker/process/guardian.ts'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { Supervisor } from '../../host-worker/process/supervisor.ts'

const MAIN = join(PACKAGE_ROOT, 'host-worker/cli/main.ts')

/** `resile dev`, and how it is reached. */
export interface Site {
  project: string
  data: string
  /** `HOST:PORT` of Temporal's gRPC. */
  temporal: string
  /** Base URL of Temporal's HTTP API. */
  temporalHttp: string
  socket: string
  client: CoordinatorClient
}

/** Arguments for Node that run a verb of the command. */
export function resile(verb: string): string[] {
  return ['--disable-warning=ExperimentalWarning', MAIN, verb]
}

/** Starts a datacenter `dc1`, has something done there, and removes all of it. */
export async function withSite(
  { files, flags }: { files: Readonly<Record<string, string>>; flags: readonly string[] },
  action: (site: Site, supervisor: Supervisor) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'resile-bench-'))
  const guardian = await startGuardian()
  const supervisor = new Supervisor({ guardian })
  try {
    const site = await startSite(supervisor, directory, { 'coordinator.hcl': 'datacenter = "dc1"\n', ...files }, flags)
    await action(site, supervisor)
    site.client.close()
  } finally {
    await supervisor.stopAll()
    await guardian.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function startSite(
  supervisor: Supervisor,
  directory: string,
  files: Readonly<Record<string, string>>,
  flags: readonly string[],
): Promise<Site> {
  const [project, data] = [join(directory, 'project'), join(directory, 'data')]
  for (const [name, text] of Object.entries(files)) {
    const file = join(project, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  let ready = ''
  await supervisor.start({
    role: 'dev',
    name: 'dev',
    command: process.execPath,
    args: [...resile('dev'), '--project', project, '--data', data, '--port', '0', ...flags],
    restart: false,
    readyTimeoutMs: 90_000,
    stopGraceMs: 15_000,
    onLine: (line) => {
      if (line.startsWith('resile ready ')) ready = line
    },
    ready: async () => {
      if (ready === '') throw new Error('not yet')
    },
  })
  const socket = join(data, 'coordinator.sock')
  const fact = (name: string): string => new RegExp(` ${name}=(\\S+)`).exec(ready)?.[1] ?? ''
  return {
    project,
    data,
    temporal: fact('temporal'),
    temporalHttp: fact('temporal_http'),
    socket,
    client: new CoordinatorClient({ socket }),
  }
}

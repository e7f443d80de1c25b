/** `resile coordinator`: the coordinator of a datacenter, on workerd behind a front that terminates mutual TLS. */
import { join, resolve } from 'node:path'
import { documentSchema } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { isLoopback } from '../../shared/loopback.ts'
import { JWKS_PATH } from '../../shared/permit.ts'
import { findPass } from '../../shared/route-rules.ts'
import { loadOrFail } from '../config/load-or-fail.ts'
import type { Project } from '../config/project.ts'
import { CommandError } from '../process/exit-codes.ts'
import { startGuardian } from '../process/guardian.ts'
import { ignoreHangups } from '../process/hangups.ts'
import { lockOrFail } from '../process/lock-or-fail.ts'
import { endOrphans } from '../process/orphans.ts'
import { reportReady } from '../process/service-manager.ts'
import { stopSignal, untilAborted } from '../process/stop-signal.ts'
import { ChildStartError, Supervisor } from '../process/supervisor.ts'
import { Backend } from './backend.ts'
import { refuseHalfRestored } from './backup/restore.ts'
import { Front } from './front/front.ts'
import { BadTlsFile } from './front/server-tls.ts'
import { Upstream } from './front/upstream.ts'
import { LOOPBACK_HOSTS, parseListen, passedSocket } from './listen.ts'
import { watchCoordinator } from './liveness.ts'
import { frontSettings, refuseWithoutRules, watchReloads } from './reload.ts'
import { frontSocketPath, makeSocketDirectory, socketPath } from './socket-path.ts'
import { watchSecrets } from './watch-secrets.ts'

/** The command line. */
export interface CoordinatorRunOptions {
  project: string
  data?: string
  listen?: string
}

/** Runs until it is stopped, then finishes the requests in progress. */
export async function runCoordinator(options: CoordinatorRunOptions): Promise<void> {
  ignoreHangups()
  const passed = passedSocket(process.env)
  const project = await loadOrFail(options.project, { development: false })
  refuseWithoutRules(project)
  warnOfHiddenKeys(project)
  const address = parseListen(options.listen ?? project.coordinator.server_config?.listen ?? '')
  const signal = stopSignal(['SIGINT', 'SIGTERM'])
  const data = resolve(options.data ?? join(options.project, '.resile'))
  const lock = await lockOrFail(data, 'coordinator', project.dir)
  try {
    await refuseHalfRestored(data)
    await endOrphans(data)
    await serve(project, data, { address, passed }, signal)
  } finally {
    lock.release()
  }
}

/** Workers that can't read the keys would refuse every permit. */
function warnOfHiddenKeys({ document }: Project): void {
  const config = documentSchema.parse(document)
  const worker = config.coordinator.server_config?.worker_id?.replace('{node}', 'node')
  if (worker === undefined || findPass(config, worker, 'GET', JWKS_PATH) !== null) return
  const detail = `no rule lets ${worker} GET ${JWKS_PATH}: workers can't check permits, unless they have the keys in a file`
  log('warn', 'permit_keys_hidden', { detail })
}

/** Where it listens. */
interface Place {
  address: { host: string; port: number }
  /** The socket that was passed, null for an own one. */
  passed: { fd: number } | null
}

async function serve(project: Project, data: string, place: Place, signal: AbortSignal): Promise<void> {
  const { address, passed } = place
  const settings = await frontSettings(project, data)
  if (settings.tls === null && !isLoopback(address.host)) {
    log('warn', 'no_tls', { listen: address, detail: 'enable_tls is false: every caller is anonymous' })
  }
  const upstream = new Upstream(frontSocketPath(data))
  const guardian = await startGuardian()
  const supervisor = new Supervisor({ guardian, dataDirectory: data })
  supervisor.on('change', ({ kind, name, ...facts }) => log('info', `child_${kind}`, { child: name, ...facts }))
  const hostsOf = ({ coordinator }: Project): readonly string[] =>
    ownHosts(address.host, passed === null, coordinator.server_config?.hosts ?? [])
  let backend: Backend | null = null
  try {
    makeSocketDirectory(data)
    backend = await Backend.start({ supervisor, upstream, data, hostsOf, signal }, { project, at: new Date() })
    const front = await Front.start({ upstream, ...settings }, passed ?? address)
    announce(front, address.host, data, settings.tls !== null)
    reportReady(signal)
    const watching = Promise.all([
      watchReloads(backend, front, data, signal),
      watchSecrets(backend, data, signal),
      watchCoordinator(socketPath(data), signal, () => {
        log('error', 'coordinator_hangs', { detail: 'it is ended and started again' })
        supervisor.kill('coordinator')
      }),
    ])
    await untilAborted(signal)
    log('info', 'stopping')
    await front.drain()
    await watching
  } catch (error) {
    if (error instanceof ChildStartError || error instanceof BadTlsFile) throw new CommandError(error.message)
    if ((error as NodeJS.ErrnoException).syscall === 'listen') throw new CommandError(messageOf(error))
    throw error
  } finally {
    await supervisor.stopAll()
    await backend?.close()
    await guardian.close()
  }
}

function announce(front: Front, host: string, data: string, isTls: boolean): void {
  const name = host.includes(':') ? `[${host}]` : host
  const url = `${isTls ? 'https' : 'http'}://${name}${front.port === null ? '' : `:${front.port}`}`
  process.stdout.write(`resile ready coordinator=${url} socket=${socketPath(data)} pid=${process.pid}\n`)
}

/**
 * The names that the network listener answers to; none for any.
 *
 * @param host where it listens, unless a socket was passed
 */
function ownHosts(host: string, isOwnSocket: boolean, configured: readonly string[]): readonly string[] {
  if (isOwnSocket && isLoopback(host)) return [...LOOPBACK_HOSTS, ...configured]
  // Without any, every name is answered to: an address alone would exclude all names.
  if (configured.length === 0 || !isOwnSocket) return configured
  return [...configured, host.includes(':') ? `[${host}]` : host]
}

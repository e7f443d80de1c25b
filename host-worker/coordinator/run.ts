/** `resile coordinator`: the coordinator of a datacenter, on workerd behind a front that terminates mutual TLS. */
import { chmod } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { documentSchema } from '../../shared/config.ts'
import { log, messageOf } from '../../shared/log.ts'
import { isLoopback } from '../../shared/loopback.ts'
import { JWKS_PATH } from '../../shared/permit.ts'
import { findPass } from '../../shared/route-rules.ts'
import { loadOrFail } from '../config/load-or-fail.ts'
import type { Project } from '../config/project.ts'
import { CommandError } from '../process/exit-codes.ts'
import { fileVersion } from '../process/file-version.ts'
import { startGuardian } from '../process/guardian.ts'
import { lockOrFail } from '../process/lock-or-fail.ts'
import { endOrphans } from '../process/orphans.ts'
import { stopSignal, untilAborted } from '../process/stop-signal.ts'
import { type ChildSpec, ChildStartError, Supervisor } from '../process/supervisor.ts'
import { coordinatorChild } from './child.ts'
import { bodyRule } from './front/body-rule.ts'
import { Front } from './front/front.ts'
import { BadTlsFile } from './front/server-tls.ts'
import { Upstream } from './front/upstream.ts'
import { LOOPBACK_HOSTS, parseListen, passedSocket } from './listen.ts'
import { watchCoordinator } from './liveness.ts'
import { certificatesDirectory, readSecrets, secretFiles } from './secrets.ts'
import { frontSocketPath, makeSocketDirectory, socketPath, temporalSocketPath } from './socket-path.ts'
import { TemporalEgress } from './temporal-egress.ts'
import { serverTlsFiles } from './tls-files.ts'

/** The command line. */
export interface CoordinatorRunOptions {
  project: string
  data?: string
  listen?: string
}

/** How often the files of secrets are checked for changes. */
const POLL_INTERVAL_MS = 2000
/** How soon workerd is started again that did not start, in milliseconds. */
const RESTART_DELAY_MS = 1000

/** Runs until it is stopped, then finishes the requests in progress. */
export async function runCoordinator(options: CoordinatorRunOptions): Promise<void> {
  const passed = passedSocket(process.env)
  const project = await loadOrFail(options.project, { development: false })
  refuseWithoutRules(project)
  warnOfHiddenKeys(project)
  const signal = stopSignal(['SIGINT', 'SIGTERM'])
  const data = resolve(options.data ?? join(options.project, '.resile'))
  const lock = await lockOrFail(data, 'coordinator', project.dir)
  try {
    await endOrphans(data)
    await new CoordinatorRun(project, data, signal).run(options, passed)
  } finally {
    lock.release()
  }
}

function refuseWithoutRules({ coordinator }: Project): void {
  if ((coordinator.server_config?.route_rule.length ?? 0) > 0) return
  throw new CommandError(
    'coordinator.hcl has no route rules: no caller would be authorised. Write server_config { route_rule { … } }; ' +
      'only `resile dev` runs without',
  )
}

/** Workers that can't read the keys would refuse every permit. */
function warnOfHiddenKeys({ document }: Project): void {
  const config = documentSchema.parse(document)
  const worker = config.coordinator.server_config?.worker_id?.replace('{node}', 'node')
  if (worker === undefined || findPass(config, worker, 'GET', JWKS_PATH) !== null) return
  const detail = `no rule lets ${worker} GET ${JWKS_PATH}: workers can't check permits, unless they have the keys in a file`
  log('warn', 'permit_keys_hidden', { detail })
}

class CoordinatorRun {
  readonly #project: Project
  readonly #data: string
  readonly #signal: AbortSignal
  readonly #upstream: Upstream
  #hasEgress = false

  constructor(project: Project, data: string, signal: AbortSignal) {
    this.#project = project
    this.#data = data
    this.#signal = signal
    this.#upstream = new Upstream(frontSocketPath(data))
  }

  async run({ listen }: CoordinatorRunOptions, passed: { fd: number } | null): Promise<void> {
    const server = this.#project.coordinator.server_config
    if (server === undefined) return
    const address = parseListen(listen ?? server.listen)
    const directory = certificatesDirectory(this.#data)
    const tls = server.enable_tls ? await serverTlsFiles(this.#project.dir, directory, server) : null
    if (tls === null && !isLoopback(address.host)) {
      log('warn', 'no_tls', { listen: address, detail: 'enable_tls is false: every caller is anonymous' })
    }
    const hosts = ownHosts(address.host, passed === null, server.hosts)
    const guardian = await startGuardian()
    const supervisor = new Supervisor({ guardian, dataDirectory: this.#data })
    supervisor.on('change', ({ kind, name, ...facts }) => log('info', `child_${kind}`, { child: name, ...facts }))
    let egress: TemporalEgress | null = null
    try {
      makeSocketDirectory(this.#data)
      const { coordinator, dir } = this.#project
      egress = await TemporalEgress.start(temporalSocketPath(this.#data), coordinator, dir)
      this.#hasEgress = egress !== null
      await supervisor.start(await this.#child(hosts))
      await chmod(frontSocketPath(this.#data), 0o600)
      const front = await Front.start(
        { upstream: this.#upstream, tls, bodies: bodyRule(documentSchema.parse(this.#project.document)) },
        passed ?? address,
      )
      this.#announce(front, address.host, tls !== null)
      const watching = this.#watch(front, supervisor, hosts)
      await untilAborted(this.#signal)
      log('info', 'stopping')
      await front.drain()
      await watching
    } catch (error) {
      if (error instanceof ChildStartError || error instanceof BadTlsFile) throw new CommandError(error.message)
      if ((error as NodeJS.ErrnoException).syscall === 'listen') throw new CommandError(messageOf(error))
      throw error
    } finally {
      await supervisor.stopAll()
      await egress?.close()
      await guardian.close()
    }
  }

  async #child(hosts: readonly string[]): Promise<ChildSpec> {
    const { dir, coordinator, document } = this.#project
    const socket = socketPath(this.#data)
    const { logFile: _, ...child } = await coordinatorChild({
      ...(await readSecrets(dir, this.#data, document, coordinator)),
      directory: join(this.#data, 'coordinator'),
      listener: { front: frontSocketPath(this.#data) },
      hosts: hosts.length === 0 ? null : hosts,
      socket,
      temporalUrl: coordinator.temporal.http_url,
      temporalSocket: this.#hasEgress ? temporalSocketPath(this.#data) : undefined,
      // Without Temporal it has something to say too.
      readyPath: '/healthz',
    })
    // Its access log is this process's output: a service manager keeps it.
    return { ...child, onLine: (line) => process.stdout.write(`${line}\n`) }
  }

  #announce(front: Front, host: string, isTls: boolean): void {
    const name = host.includes(':') ? `[${host}]` : host
    const url = `${isTls ? 'https' : 'http'}://${name}${front.port === null ? '' : `:${front.port}`}`
    process.stdout.write(`resile ready coordinator=${url} socket=${socketPath(this.#data)} pid=${process.pid}\n`)
  }

  /** Reloads what has changed, until stopped. */
  async #watch(front: Front, supervisor: Supervisor, hosts: readonly string[]): Promise<void> {
    const onHangup = (): void => {
      front.reload().catch((error: unknown) => log('error', 'not_reloaded', { detail: messageOf(error) }))
    }
    process.on('SIGHUP', onHangup)
    const hung = (): void => {
      log('error', 'coordinator_hangs', { detail: 'it is ended and started again' })
      supervisor.kill('coordinator')
    }
    await Promise.all([
      watchCoordinator(socketPath(this.#data), this.#signal, hung),
      this.#watchSecrets(supervisor, hosts),
    ])
    process.off('SIGHUP', onHangup)
  }

  /** A new key or secret is used as soon as it is there: workerd is given its secrets only when it starts. */
  async #watchSecrets(supervisor: Supervisor, hosts: readonly string[]): Promise<void> {
    const [keyFile = '', ...others] = secretFiles(this.#project.dir, this.#data, this.#project.coordinator)
    const watched: Watched[] = [
      { files: [keyFile], kind: 'permit_keys', known: await versionOf([keyFile]), seen: '', failed: null },
      { files: others, kind: 'secrets', known: await versionOf(others), seen: '', failed: null },
    ]
    while (!this.#signal.aborted) {
      await this.#wait(POLL_INTERVAL_MS)
      for (const each of watched) {
        const now = await versionOf(each.files)
        // A file that is missing may be about to be replaced; it is missing when it is so twice. Keys that sign permits are
        // never made again while they are in use.
        const isSettled = !now.includes(MISSING) || (now === each.seen && each.kind === 'secrets')
        each.seen = now
        if (this.#signal.aborted || now === each.known || !isSettled || !mayRetry(each.failed, now)) continue
        if (await this.#replace(supervisor, hosts, each.kind)) Object.assign(each, { known: now, failed: null })
        else each.failed = { version: now, at: performance.now() }
      }
    }
  }

  /**
   * Restarts workerd while requests wait. When secrets can't be read, the running process is kept.
   *
   * @returns whether they were read
   */
  async #replace(supervisor: Supervisor, hosts: readonly string[], kind: Watched['kind']): Promise<boolean> {
    let child: ChildSpec
    try {
      child = await this.#child(hosts)
    } catch (error) {
      log('error', `${kind}_not_reloaded`, { detail: messageOf(error) })
      return false
    }
    const resume = this.#upstream.pause()
    await supervisor.stop('coordinator')
    while (!this.#signal.aborted && !(await isStarted(supervisor, child))) await this.#wait(RESTART_DELAY_MS)
    if (!this.#signal.aborted) log('info', `${kind}_reloaded`)
    resume()
    return true
  }

  /** Waits, but not beyond the order to stop. */
  async #wait(time: number): Promise<void> {
    await sleep(time, undefined, { signal: this.#signal, ref: false }).catch(() => undefined)
  }
}

/** Files that are checked for changes. */
interface Watched {
  files: readonly string[]
  /** What is in them, as log events name it. */
  kind: 'permit_keys' | 'secrets'
  /** Their version when they were last read. */
  known: string
  /** Their version when they were last looked at. */
  seen: string
  /** Their version when they could not be read, and when that was by the process's clock, in milliseconds. */
  failed: { version: string; at: number } | null
}

/** The version of a file that can't be found. */
const MISSING = 'missing'
/** Files that could not be read are tried again, and reported again, after this time, if nothing in them changes before. */
const RETRY_INTERVAL_MS = 60_000

async function versionOf(files: readonly string[]): Promise<string> {
  return String(await Promise.all(files.map(async (file) => fileVersion(file).catch(() => MISSING))))
}

function mayRetry(failed: Watched['failed'], version: string): boolean {
  return failed === null || failed.version !== version || performance.now() - failed.at > RETRY_INTERVAL_MS
}

/** Starts what was stopped on purpose: nothing else would try again. */
async function isStarted(supervisor: Supervisor, child: ChildSpec): Promise<boolean> {
  try {
    await supervisor.start(child)
    return true
  } catch (error) {
    log('error', 'coordinator_not_started', { detail: messageOf(error) })
    return false
  }
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

/** What answers behind the front: workerd, and its way to Temporal. It is replaced as a whole, while requests wait. */
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { log, messageOf } from '../../shared/log.ts'
import type { Project } from '../config/project.ts'
import type { ChildSpec, Supervisor } from '../process/supervisor.ts'
import { coordinatorChild } from './child.ts'
import type { Upstream } from './front/upstream.ts'
import { writeLoadedDocument } from './loaded-document.ts'
import { liveNodes, replayNodes } from './roster-replay.ts'
import { readSecrets } from './secrets.ts'
import { frontSocketPath, socketPath, temporalSocketPath } from './socket-path.ts'
import { TemporalEgress, type TemporalRoute, temporalRoute } from './temporal-egress.ts'

/** A project as a coordinator has read it. */
export interface ProjectInUse {
  project: Project
  at: Date
}

interface BackendOptions {
  supervisor: Supervisor
  upstream: Upstream
  /** The data directory. */
  data: string
  /** The host names that a project's coordinator answers to; none for any. */
  hostsOf: (project: Project) => readonly string[]
  /** Ends all attempts to start. */
  signal: AbortSignal
}

interface Running {
  loaded: ProjectInUse
  child: ChildSpec
  /** Null when workerd reaches Temporal by itself. */
  route: TemporalRoute | null
}

/** How soon workerd is started again that did not start, in milliseconds. */
const RESTART_DELAY_MS = 1000

/** The one backend of a coordinator. */
export class Backend {
  readonly #options: BackendOptions
  #running: Running
  #egress: TemporalEgress | null = null
  /** One replacement at a time. */
  readonly #turns = pLimit(1)

  private constructor(options: BackendOptions, running: Running) {
    this.#options = options
    this.#running = running
  }

  /** @throws CommandError that names what is missing; ChildStartError */
  static async start(options: BackendOptions, loaded: ProjectInUse): Promise<Backend> {
    const next = await prepare(options, loaded)
    const backend = new Backend(options, next)
    try {
      await backend.#use(next.route)
      await options.supervisor.start(next.child)
      await chmod(frontSocketPath(options.data), 0o600)
      await writeLoadedDocument(options.data, loaded.project.document)
      return backend
    } catch (error) {
      await backend.close()
      throw error
    }
  }

  /** What runs. */
  get loaded(): ProjectInUse {
    return this.#running.loaded
  }

  /** Waits for a replacement under way, and for what runs there. */
  async close(): Promise<void> {
    await this.#turns(() => undefined)
    await this.#use(null)
    this.#running.route?.client.close()
  }

  /**
   * Starts workerd again with the secrets that the files hold now. When they can't be read, the running process is kept.
   *
   * @throws CommandError that names what can't be read
   */
  async renew(): Promise<void> {
    await this.#turns(async () => {
      const { loaded, route } = this.#running
      const child = await childOf(this.#options, loaded, route !== null)
      await this.#whilePaused(async () => {
        this.#running = { loaded, child, route }
        await this.#startAgain()
      })
    })
  }

  /**
   * Puts another project in the place of the one that runs. All that is read is read before anything is stopped.
   *
   * @param onReplaced called once the new one runs, before the requests go on that waited
   * @throws CommandError that names what can't be read, or ChildStartError: then the old one runs again
   */
  async replace(loaded: ProjectInUse, onReplaced: () => void): Promise<void> {
    await this.#turns(async () => {
      const { supervisor, data } = this.#options
      const old = this.#running
      const next = await prepare(this.#options, loaded)
      let unused = next.route
      try {
        await this.#whilePaused(async () => {
          try {
            await this.#use(next.route)
            await supervisor.start(next.child)
          } catch (error) {
            try {
              await this.#use(old.route)
            } finally {
              await this.#startAgain()
            }
            throw error
          }
          this.#running = next
          unused = old.route
          onReplaced()
        })
      } finally {
        unused?.client.close()
      }
      // Only `resile diff` needs it.
      await writeLoadedDocument(data, loaded.project.document).catch((error: unknown) =>
        log('warn', 'loaded_config_not_written', { detail: messageOf(error) }),
      )
    })
  }

  /** Has workerd reach Temporal by a route. What was listening goes on with it. */
  async #use(route: TemporalRoute | null): Promise<void> {
    if (route === null) {
      await this.#egress?.close()
      this.#egress = null
    } else if (this.#egress === null) {
      this.#egress = await TemporalEgress.listen(temporalSocketPath(this.#options.data), route)
    } else this.#egress.use(route)
  }

  async #whilePaused(action: () => Promise<void>): Promise<void> {
    const { supervisor, upstream, data, signal } = this.#options
    const socket = socketPath(data)
    const resume = upstream.pause()
    try {
      const nodes = await liveNodes(socket)
      await supervisor.stop('coordinator')
      try {
        await action()
      } finally {
        if (!signal.aborted) await replayNodes(socket, nodes)
      }
    } finally {
      resume()
    }
  }

  /** Starts what was stopped on purpose: nothing else would try again. */
  async #startAgain(): Promise<void> {
    const { supervisor, signal } = this.#options
    while (!signal.aborted) {
      try {
        await supervisor.start(this.#running.child)
        return
      } catch (error) {
        log('error', 'coordinator_not_started', { detail: messageOf(error) })
      }
      await sleep(RESTART_DELAY_MS, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }
}

/** Reads all that a project needs. @throws CommandError that names what can't be read */
async function prepare(options: BackendOptions, loaded: ProjectInUse): Promise<Running> {
  const route = await temporalRoute(loaded.project.coordinator, loaded.project.dir)
  try {
    return { loaded, route, child: await childOf(options, loaded, route !== null) }
  } catch (error) {
    route?.client.close()
    throw error
  }
}

/** Writes workerd's files, and says how to run it. */
async function childOf(
  { data, hostsOf }: BackendOptions,
  { project, at }: ProjectInUse,
  hasEgress: boolean,
): Promise<ChildSpec> {
  const { dir, coordinator } = project
  const document = { ...project.document, loaded_at: at.toISOString() }
  const hosts = hostsOf(project)
  const { logFile: _, ...child } = await coordinatorChild({
    ...(await readSecrets(dir, data, document, coordinator)),
    directory: join(data, 'coordinator'),
    listener: { front: frontSocketPath(data) },
    hosts: hosts.length === 0 ? null : hosts,
    socket: socketPath(data),
    temporalUrl: coordinator.temporal.http_url,
    temporalSocket: hasEgress ? temporalSocketPath(data) : undefined,
    // Without Temporal it has something to say too.
    readyPath: '/healthz',
  })
  // Its access log is this process's output: a service manager keeps it.
  return { ...child, onLine: (line) => process.stdout.write(`${line}\n`) }
}

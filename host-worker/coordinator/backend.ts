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
import { TemporalEgress } from './temporal-egress.ts'

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
}

/** How soon workerd is started again that did not start, in milliseconds. */
const RESTART_DELAY_MS = 1000

/** The one backend of a coordinator. */
export class Backend {
  readonly #options: BackendOptions
  #running: Running
  #egress: TemporalEgress | null
  /** One replacement at a time. */
  readonly #turns = pLimit(1)

  private constructor(options: BackendOptions, running: Running, egress: TemporalEgress | null) {
    this.#options = options
    this.#running = running
    this.#egress = egress
  }

  /** @throws CommandError that names what is missing; ChildStartError */
  static async start(options: BackendOptions, loaded: ProjectInUse): Promise<Backend> {
    const egress = await startEgress(options.data, loaded.project)
    try {
      const child = await childOf(options, loaded, egress !== null)
      await options.supervisor.start(child)
      await chmod(frontSocketPath(options.data), 0o600)
      await writeLoadedDocument(options.data, loaded.project.document)
      return new Backend(options, { loaded, child }, egress)
    } catch (error) {
      await egress?.close()
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
    await this.#egress?.close()
  }

  /**
   * Starts workerd again with the secrets that the files hold now. When they can't be read, the running process is kept.
   *
   * @throws CommandError that names what can't be read
   */
  async renew(): Promise<void> {
    await this.#turns(async () => {
      const { loaded } = this.#running
      const child = await childOf(this.#options, loaded, this.#egress !== null)
      await this.#whilePaused(async () => {
        this.#running = { loaded, child }
        await this.#startAgain()
      })
    })
  }

  /**
   * Puts another project in the place of the one that runs.
   *
   * @throws CommandError that names what can't be read, or ChildStartError: then the old one runs again
   */
  async replace(loaded: ProjectInUse): Promise<void> {
    await this.#turns(async () => {
      const { supervisor, data } = this.#options
      const old = this.#running
      const child = await childOf(this.#options, loaded, TemporalEgress.isNeeded(loaded.project.coordinator))
      await this.#whilePaused(async () => {
        await this.#egress?.close()
        this.#egress = null
        try {
          this.#egress = await startEgress(data, loaded.project)
          await supervisor.start(child)
          this.#running = { loaded, child }
        } catch (error) {
          await this.#egress?.close()
          this.#egress = await startEgress(data, old.loaded.project)
          await this.#startAgain()
          throw error
        }
      })
      await writeLoadedDocument(data, loaded.project.document)
    })
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

function startEgress(data: string, { coordinator, dir }: Project): Promise<TemporalEgress | null> {
  return TemporalEgress.start(temporalSocketPath(data), coordinator, dir)
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

/** All that runs during a drill: Temporal, the line to it, and one `resile dev` with coordinator and workers. */
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { ownTemporal } from '../../host-worker/dev/temporal-server.ts'
import { type Guardian, startGuardian } from '../../host-worker/process/guardian.ts'
import { choosePorts } from '../../host-worker/process/ports.ts'
import { type ChildSpec, Supervisor } from '../../host-worker/process/supervisor.ts'
import { Temporal } from '../support/temporal.ts'
import { Line } from './line.ts'
import { RESILE } from './project.ts'

export interface FleetNode {
  name: string
  datacenter: string
  type: 'web' | 'db'
}

const NAMESPACE = 'default'
/** How long a health check may take, in milliseconds. */
const ASK_WITHIN = 2000

/** A separate fleet, whose processes may be killed, stopped and cut off. */
export class Fleet {
  /** Temporal itself, past the line. */
  readonly temporal: Temporal
  readonly line: Line
  readonly coordinator: string
  readonly nodes: readonly FleetNode[]
  readonly #supervisor: Supervisor
  readonly #guardian: Guardian
  readonly #temporalSpec: ChildSpec
  readonly #data: string

  private constructor(parts: {
    temporal: Temporal
    line: Line
    coordinator: string
    nodes: readonly FleetNode[]
    supervisor: Supervisor
    guardian: Guardian
    temporalSpec: ChildSpec
    data: string
  }) {
    this.temporal = parts.temporal
    this.line = parts.line
    this.coordinator = parts.coordinator
    this.nodes = parts.nodes
    this.#supervisor = parts.supervisor
    this.#guardian = parts.guardian
    this.#temporalSpec = parts.temporalSpec
    this.#data = parts.data
  }

  /**
   * Starts everything and waits until it is up.
   *
   * @param project its directory
   * @param data where its state and logs lie
   * @param onDeath called when `resile dev` ends by itself, which no fault of the drill should cause
   */
  static async start(
    project: string,
    data: string,
    nodes: readonly FleetNode[],
    onDeath: (reason: string) => void,
    signal: AbortSignal,
  ): Promise<Fleet> {
    const guardian = await startGuardian()
    const supervisor = new Supervisor({ guardian })
    let line: Line | undefined
    // Told to stop while starting: what is being started then ends, and that ends the start.
    const stop = () => void supervisor.stopAll()
    signal.addEventListener('abort', stop, { once: true })
    try {
      const [grpc = 0, http = 0, ui = 0, port = 0] = await choosePorts(quietPorts(4), '127.0.0.1')
      const own = await ownTemporal(data, NAMESPACE, [grpc, http, ui], console.error)
      // The drill itself says when it comes back.
      const temporalSpec: ChildSpec = { ...own.spec, restart: false }
      await supervisor.start(temporalSpec)
      line = await Line.lay(own.addresses.httpUrl)
      const { spec, coordinator } = devChild(project, data, nodes, port, own.addresses.address, line.url)
      await supervisor.start(spec)
      supervisor.on('change', (change) => {
        if (change.name === 'dev' && change.kind === 'ended' && !change.expected) onDeath(change.reason)
      })
      const temporal = new Temporal(own.addresses.httpUrl, NAMESPACE)
      return new Fleet({ temporal, line, coordinator: coordinator(), nodes, supervisor, guardian, temporalSpec, data })
    } catch (error) {
      await supervisor.stopAll()
      line?.close()
      await guardian.close()
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async stop(): Promise<void> {
    await this.#supervisor.stopAll()
    this.line.close()
    await this.#guardian.close()
  }

  /** The pid of a process that `resile dev` runs; undefined while there is none. */
  pidOf(name: string): number | undefined {
    if (name === 'temporal') return this.#supervisor.processes().find((child) => child.name === name)?.pid
    const file = join(this.#data, 'dev.json')
    const { processes } = JSON.parse(readFileSync(file, 'utf8')) as { processes: { name: string; pid: number }[] }
    return processes.find((child) => child.name === name)?.pid
  }

  /** Kills one with -9. `resile dev` starts its own again; Temporal stays down until {@link bringTemporalBack}. */
  async killNow(name: string): Promise<void> {
    signalTo(this.pidOf(name), 'SIGKILL')
    if (name === 'temporal') await this.#supervisor.stop('temporal')
  }

  async bringTemporalBack(): Promise<void> {
    await this.#supervisor.start(this.#temporalSpec)
  }

  /** Has one stand still for a while. */
  async freeze(name: string, ms: number, signal: AbortSignal): Promise<void> {
    const pid = this.pidOf(name)
    signalTo(pid, 'SIGSTOP')
    try {
      await delay(ms, undefined, { signal })
    } finally {
      signalTo(pid, 'SIGCONT')
    }
  }

  /** What is not as it should be; nothing when all is well. */
  async ailments(): Promise<string[]> {
    const [temporal, coordinator, nodes] = await Promise.all([
      this.temporal.isUp(),
      this.#ask('/readyz').then(
        () => true,
        () => false,
      ),
      this.#ask('/v1/nodes').then(
        (body) => (body as { items: { node: string }[] }).items.map(({ node }) => node),
        (): string[] => [],
      ),
    ])
    const silent = this.nodes.filter(({ name }) => !nodes.includes(name))
    return [
      ...(temporal ? [] : ['Temporal does not answer']),
      ...(coordinator ? [] : ['the coordinator is not ready']),
      ...(coordinator ? silent.map(({ name }) => `no heartbeat from ${name}`) : []),
    ]
  }

  /** How many admitted executions wait for their start, by the coordinator's metric. */
  async pending(): Promise<number> {
    const response = await fetch(`${this.coordinator}/metrics`, { signal: AbortSignal.timeout(ASK_WITHIN) })
    const text = await response.text()
    const values = [...text.matchAll(/^resile_outbox_pending(?:\{[^}]*\})? (\d+)$/gm)].map(([, value]) => Number(value))
    if (!response.ok || values.length === 0) throw new Error(`/metrics answers ${response.status} without the outbox`)
    return values.reduce((sum, value) => sum + value, 0)
  }

  /** Asks the coordinator for something; nothing is found where it answers 404. */
  async look<T>(path: string): Promise<{ found?: T }> {
    const response = await fetch(this.coordinator + path, { signal: AbortSignal.timeout(5 * ASK_WITHIN) })
    if (response.status === 404) return {}
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
    return { found: (await response.json()) as T }
  }

  async #ask(path: string): Promise<unknown> {
    const response = await fetch(this.coordinator + path, { signal: AbortSignal.timeout(ASK_WITHIN) })
    const body: unknown = await response.json()
    if (!response.ok) throw new Error(`GET ${path}: ${response.status}`)
    return body
  }
}

/**
 * Ports below those that the system gives to outgoing connections: one of these could take the port of a process that
 * was killed, before that is back.
 */
function quietPorts(count: number): number[] {
  return Array.from({ length: count }, () => randomInt(15_000, 30_000))
}

function signalTo(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    kill(pid, signal)
  } catch (error) {
    // It ended by itself a moment ago.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** `resile dev` as a child; once it is ready, `coordinator()` is where. */
function devChild(
  project: string,
  data: string,
  nodes: readonly FleetNode[],
  port: number,
  temporalAddress: string,
  temporalHttp: string,
): { spec: ChildSpec; coordinator: () => string } {
  let coordinator: string | undefined
  const spec: ChildSpec = {
    role: 'dev',
    name: 'dev',
    command: process.execPath,
    args: [
      ...RESILE,
      'dev',
      `--project=${project}`,
      `--data=${data}`,
      `--port=${port}`,
      `--temporal-address=${temporalAddress}`,
      `--temporal-http=${temporalHttp}`,
      ...nodes.flatMap(({ name, type, datacenter }) => ['--node', `${name}:${type}@${datacenter}`]),
    ],
    restart: false,
    readyTimeoutMs: 120_000,
    stopGraceMs: 30_000,
    logFile: join(data, 'logs/dev.log'),
    onLine: (line) => {
      coordinator ??= /^resile ready .*\bcoordinator=(\S+)/.exec(line)?.[1]
    },
    ready: async () => {
      if (coordinator === undefined) throw new Error('not ready yet')
    },
  }
  const address = () => {
    if (coordinator === undefined) throw new Error('resile dev has not said where its coordinator is')
    return coordinator
  }
  return { spec, coordinator: address }
}

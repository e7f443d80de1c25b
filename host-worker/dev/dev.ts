/** `resile dev`: one datacenter on one machine. */
import { existsSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type ConfigDocument, documentSchema, isPushed } from '../../shared/config.ts'
import { messageOf } from '../../shared/log.ts'
import { loadOrFail } from '../config/load-or-fail.ts'
import type { Project } from '../config/project.ts'
import { coordinatorChild } from '../coordinator/child.ts'
import { bodyRule } from '../coordinator/front/body-rule.ts'
import { Front } from '../coordinator/front/front.ts'
import { Upstream } from '../coordinator/front/upstream.ts'
import { LOOPBACK_HOSTS } from '../coordinator/listen.ts'
import { watchCoordinator } from '../coordinator/liveness.ts'
import { readSecrets } from '../coordinator/secrets.ts'
import { frontSocketPath, makeSocketDirectory, socketPath } from '../coordinator/socket-path.ts'
import { CoordinatorClient } from '../net/coordinator-client.ts'
import { DEV_FILE, type DevFile, writeDevFile } from '../net/dev-file.ts'
import { CommandError } from '../process/exit-codes.ts'
import { startGuardian } from '../process/guardian.ts'
import { lockOrFail } from '../process/lock-or-fail.ts'
import { endOrphans } from '../process/orphans.ts'
import { PACKAGE_ROOT } from '../process/package-root.ts'
import { choosePort, choosePorts } from '../process/ports.ts'
import { stopSignal, untilAborted } from '../process/stop-signal.ts'
import { type ChildSpec, ChildStartError, Supervisor } from '../process/supervisor.ts'
import { prepareWorkers } from '../worker/become-worker.ts'
import { storedBundle } from '../worker/bundle-store.ts'
import { workflowSources } from '../worker/workflow-sources.ts'
import { say, showChange, showLogLine } from './console.ts'
import { devTls } from './dev-tls.ts'
import { type DevNode, devNodes } from './nodes.ts'
import { SAMPLE_PORT, sampleChild, sampleOverlay, writeSampleOverlay } from './sample/sample.ts'
import { givenTemporal, ownTemporal, type TemporalAddresses } from './temporal-server.ts'

/** The command line of `resile dev`. */
export interface DevOptions {
  project: string
  data?: string
  port?: number
  node: string[]
  workers: boolean
  restart: boolean
  temporalAddress?: string
  temporalHttp?: string
  sample: boolean
  tls: boolean
}

const HOST = '127.0.0.1'
const USUAL_PORTS = { coordinator: 8787, temporal: 7233, temporalHttp: 7243, ui: 8233 }
const MAIN = join(PACKAGE_ROOT, 'host-worker/cli/main.ts')

/** Starts everything, prints the ready line, and runs until it is stopped. */
export async function dev(options: DevOptions): Promise<void> {
  const given = givenTemporal(options)
  if (!existsSync(options.project)) throw new CommandError(`there is no project ${options.project}`)
  const signal = stopSignal()
  const data = resolve(options.data ?? join(options.project, '.resile'))
  const lock = await lockOrFail(data, 'resile dev', options.project)
  try {
    await endOrphans(data)
    await new DevRun(options, data, given, signal).run()
  } finally {
    lock.release()
  }
}

class DevRun {
  readonly #options: DevOptions
  readonly #data: string
  readonly #given: TemporalAddresses | null
  readonly #signal: AbortSignal
  /** Ends TLS, when there is TLS. */
  #front: Front | null = null

  constructor(options: DevOptions, data: string, given: TemporalAddresses | null, signal: AbortSignal) {
    this.#options = options
    this.#data = data
    this.#given = given
    this.#signal = signal
  }

  async run(): Promise<void> {
    const guardian = await startGuardian()
    const supervisor = new Supervisor({ guardian, dataDirectory: this.#data })
    supervisor.on('change', showChange)
    try {
      const starting = this.#start(supervisor)
      // Stopped while starting, it doesn't wait; what is in progress then fails, which is no error.
      starting.catch(() => undefined)
      await Promise.race([starting, untilAborted(this.#signal)])
      await untilAborted(this.#signal)
    } catch (error) {
      if (!this.#signal.aborted) throw error instanceof ChildStartError ? new CommandError(error.message) : error
    } finally {
      say('stopping')
      await this.#front?.drain()
      await supervisor.stopAll()
      await guardian.close()
    }
  }

  async #start(supervisor: Supervisor): Promise<void> {
    const { sample, port = USUAL_PORTS.coordinator } = this.#options
    const free = port === 0
    const usual = (preferred: number): number => (free ? 0 : preferred)
    const samplePort = sample ? await choosePort(usual(SAMPLE_PORT), HOST) : null
    const project = await this.#load(samplePort)
    const nodes = this.#options.workers ? devNodes(this.#options.node, project) : []
    const [coordinatorPort = 0, ...temporalPorts] = await choosePorts(
      [port, usual(USUAL_PORTS.temporal), usual(USUAL_PORTS.temporalHttp), usual(USUAL_PORTS.ui)],
      HOST,
    )
    if (this.#options.port !== undefined && !free && coordinatorPort !== port)
      throw new CommandError(`port ${port} is in use`)

    const bundled = this.#bundle(project, nodes)
    // Its failure is reported where it is awaited.
    bundled.catch(() => undefined)
    if (samplePort !== null) await supervisor.start(this.#watched(sampleChild(samplePort, this.#data)))
    const temporal = await this.#startTemporal(supervisor, project, temporalPorts)
    const { namespace } = project.coordinator.temporal
    const tls =
      this.#options.tls || project.coordinator.server_config?.enable_tls === true
        ? await devTls(project, this.#data)
        : null
    const document: ConfigDocument = tls?.document ?? project.document
    const { coordinator } = document
    const addressed: ConfigDocument = {
      ...document,
      coordinator: {
        ...coordinator,
        temporal: { namespace, address: temporal.address, http_url: temporal.httpUrl, plaintext: true },
      },
    }
    const socket = socketPath(this.#data)
    const front = frontSocketPath(this.#data)
    makeSocketDirectory(this.#data)
    const url = `${tls === null ? 'http' : 'https'}://${HOST}:${coordinatorPort}`
    await supervisor.start(
      this.#watched(
        await coordinatorChild({
          ...(await readSecrets(project.dir, this.#data, addressed, project.coordinator)),
          directory: join(this.#data, 'coordinator'),
          listener: tls === null ? { host: HOST, port: coordinatorPort } : { front },
          hosts: [...LOOPBACK_HOSTS, ...(project.coordinator.server_config?.hosts ?? [])],
          socket,
          temporalUrl: temporal.httpUrl,
          readyPath: '/readyz',
        }),
      ),
    )
    await chmod(socket, 0o600)
    if (tls !== null) {
      await chmod(front, 0o600)
      this.#front = await Front.start(
        { upstream: new Upstream(front), tls: tls.files, bodies: bodyRule(documentSchema.parse(document)) },
        { host: HOST, port: coordinatorPort },
      )
    }

    const workerPorts = await choosePorts(
      nodes.map(() => 0),
      HOST,
    )
    const metricsPorts = new Map(nodes.map(({ name }, index) => [name, workerPorts[index] ?? 0]))
    const file = (): DevFile => ({
      pid: process.pid,
      coordinator: url,
      socket,
      temporal: temporal.address,
      temporal_http: temporal.httpUrl,
      ui: temporal.ui,
      certificates: tls?.directory ?? null,
      metrics: Object.fromEntries([...metricsPorts].map(([node, port]) => [node, `http://${HOST}:${port}/metrics`])),
      processes: supervisor.processes(),
    })
    let writing = writeDevFile(this.#data, file())
    supervisor.on('change', () => {
      writing = writing
        .then(() => writeDevFile(this.#data, file()))
        .catch((error: unknown) => say(`${DEV_FILE} not written: ${String(error)}`))
    })
    const workflowBundle = await bundled
    await Promise.all(
      nodes.map((node) =>
        supervisor.start(
          this.#watched(
            this.#workerChild(node, project, temporal, socket, workflowBundle, metricsPorts.get(node.name) ?? 0),
          ),
        ),
      ),
    )
    if (Object.values(project.detectors).some((detector) => !isPushed(detector)))
      await supervisor.start(this.#watched(this.#detectorChild(socket)))
    await writing
    this.#announce(url, temporal, namespace, samplePort, tls?.directory ?? null)
    this.#watch(supervisor, socket)
  }

  async #load(samplePort: number | null): Promise<Project> {
    const { project: directory, node } = this.#options
    const overlay = samplePort === null ? null : await writeSampleOverlay(this.#data, samplePort, node[0] ?? null)
    const project = await loadOrFail(directory, { development: true, overlays: overlay === null ? [] : [overlay] })
    return project
  }

  async #startTemporal(supervisor: Supervisor, project: Project, ports: readonly number[]): Promise<TemporalAddresses> {
    if (this.#given !== null) return this.#given
    const [grpc = 0, http = 0, ui = 0] = ports
    const { addresses, spec } = await ownTemporal(
      this.#data,
      project.coordinator.temporal.namespace,
      [grpc, http, ui],
      say,
    )
    await supervisor.start(this.#watched(spec))
    return addresses
  }

  /** Bundles the workflows once for all workers. Returns the bundle's file, null when no worker needs it. */
  async #bundle(project: Project, nodes: readonly DevNode[]): Promise<string | null> {
    if (nodes.length === 0) return null
    const [bundle] = await Promise.all([
      storedBundle(workflowSources(project), this.#data, ({ type, code, message }) =>
        say(`${code}: workflow ${type} is left out: ${message}`),
      ),
      prepareWorkers(this.#data, (detail) => say(`workers need more memory than they should: ${detail}`)),
    ])
    const file = join(this.#data, 'workflows.json')
    await writeFile(file, JSON.stringify(bundle))
    return file
  }

  #workerChild(
    node: DevNode,
    project: Project,
    temporal: TemporalAddresses,
    socket: string,
    bundle: string | null,
    metricsPort: number,
  ): ChildSpec {
    const onTarget = Object.values(project.workflows).some(({ config }) => config.workflow_queue === 'target')
    const client = new CoordinatorClient({ socket })
    return {
      role: 'worker',
      name: node.name,
      command: process.execPath,
      args: [
        ...NODE_FLAGS,
        MAIN,
        'worker',
        '--project',
        resolve(this.#options.project),
        '--data',
        this.#data,
        '--node',
        node.name,
        '--datacenter',
        node.datacenter,
        `--types=${node.types.join(',')}`,
        '--coordinator',
        `unix:${socket}`,
        '--temporal-address',
        temporal.address,
        '--temporal-plaintext',
        '--namespace',
        project.coordinator.temporal.namespace,
        '--metrics',
        `${HOST}:${metricsPort}`,
        onTarget ? '--workflows=all' : '--workflows',
        ...(bundle === null ? [] : ['--workflow-bundle', bundle]),
        ...this.#overlayArguments(),
      ],
      restart: this.#options.restart,
      readyTimeoutMs: 90_000,
      stopGraceMs: 15_000,
      logFile: join(this.#data, `logs/worker-${node.name}.log`),
      ready: async (signal) => {
        const { status } = await client.request('GET', `/v1/nodes/${node.name}`, { timeout: 5000, signal })
        if (status !== 200) throw new Error('the node has sent no heartbeat yet')
      },
    }
  }

  #detectorChild(socket: string): ChildSpec {
    return {
      role: 'detector',
      name: 'detector',
      command: process.execPath,
      args: [
        ...NODE_FLAGS,
        MAIN,
        'detector',
        '--project',
        resolve(this.#options.project),
        '--coordinator',
        `unix:${socket}`,
        '--data',
        this.#data,
        ...this.#overlayArguments(),
      ],
      restart: true,
      stopGraceMs: 10_000,
      logFile: join(this.#data, 'logs/detector.log'),
    }
  }

  #overlayArguments(): string[] {
    return this.#options.sample ? ['--overlay', sampleOverlay(this.#data)] : []
  }

  #watched(spec: ChildSpec): ChildSpec {
    return { ...spec, onLine: (line) => showLogLine(spec.role, spec.name, line) }
  }

  #announce(
    url: string,
    temporal: TemporalAddresses,
    namespace: string,
    samplePort: number | null,
    certificates: string | null,
  ): void {
    const facts = [
      `coordinator=${url}`,
      `temporal=${temporal.address}`,
      `temporal_http=${temporal.httpUrl}`,
      `namespace=${namespace}`,
      ...(temporal.ui === null ? [] : [`ui=${temporal.ui}`]),
      ...(samplePort === null ? [] : [`sample=http://${HOST}:${samplePort}`]),
      ...(certificates === null ? [] : [`certificates=${certificates}`]),
    ]
    process.stdout.write(`resile ready ${facts.join(' ')}\n`)
    if (samplePort !== null) {
      say(`make the sample service sick and watch it heal:  curl -X POST http://${HOST}:${samplePort}/break`)
      say('then see what happened, in another terminal:  npx resile executions')
    }
    say('Ctrl-C stops everything')
  }

  /** Has the coordinator look after itself, and started again should it hang. */
  #watch(supervisor: Supervisor, socket: string): void {
    watchCoordinator(socket, this.#signal, () => {
      say('the coordinator hangs; it is ended')
      supervisor.kill('coordinator')
    }).catch((error: unknown) => say(`the coordinator is not watched: ${messageOf(error)}`))
  }
}

/** Node's own warnings are for its developers. */
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'] as const

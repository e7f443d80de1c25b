import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkerConfig } from '../../shared/config.ts'
import { isFixed } from '../../shared/interpolate.ts'
import { datacenterQueue, queuesOfNode } from '../../shared/names.ts'
import { type LoadedProject, loadProject } from '../config/project.ts'
import { devNodes } from '../dev/nodes.ts'
import { type Check, type Checked, fail, runChecks, warn } from '../doctor/check.ts'
import {
  checkClock,
  checkCoordinator,
  checkDetectorNodes,
  checkHeartbeat,
  checkPermits,
} from '../doctor/coordinator-checks.ts'
import { checkCertificates, checkCommands, checkConfig, checkData, checkRuntime } from '../doctor/host-checks.ts'
import { TemporalDoctor } from '../doctor/temporal-checks.ts'
import { type CoordinatorAddress, CoordinatorClient } from '../net/coordinator-client.ts'
import { DEV_FILE, type DevFile } from '../net/dev-file.ts'
import { readBootId } from '../process/boot-id.ts'
import { EXIT } from '../process/exit-codes.ts'
import { dataDirectory } from './coordinator-address.ts'
import { type NodeOptions, nodeConfig, nodeCoordinator } from './node-config.ts'
import { table } from './tables.ts'

/** As the command line has them. */
export interface DoctorOptions extends NodeOptions {
  data?: string
  json: boolean
}

/** `resile doctor`: says what is wrong on a host; exit code 1 when something is. */
export async function doctor(options: DoctorOptions): Promise<void> {
  const loaded = await loadProject(options.project, { development: true, host: true })
  const checks: Check[] = [
    { name: 'runtime', run: () => checkRuntime() },
    { name: 'config', run: () => checkConfig(loaded) },
    { name: 'data', run: () => checkData(dataDirectory(options)) },
  ]
  const patient = await patientOf(options, loaded)
  const closing: (() => unknown)[] = []
  const checked = await runChecks([...checks, ...(patient === null ? UNKNOWN : checksOf(patient, closing))])
  for (const close of closing) await close()
  report(checked, options.json)
}

/** The node that is checked. */
interface Patient {
  config: WorkerConfig
  /** Working directory of commands. */
  directory: string
  coordinator: CoordinatorAddress | null
  /** Null when the coordinator's `worker_id` is not known. */
  expectedId: string | null
  /** The nodes that detectors name, by detector. */
  detected: Record<string, string>
}

/** The checks that need to know the node. */
const UNKNOWN: readonly Check[] = [
  'commands',
  'certificates',
  'coordinator',
  'clock',
  'permits',
  'heartbeat',
  'temporal',
  'queues',
  'workflows',
].map((name) => ({ name, run: () => warn('not checked: the configuration has errors') }))

/** Null when the project can't be read, and the command line doesn't say enough. */
async function patientOf(options: DoctorOptions, { dir, project }: LoadedProject): Promise<Patient | null> {
  const dev = await runningDev(dataDirectory(options))
  if (project === null && (options.node === undefined || options.datacenter === undefined)) return null
  const [local] = dev !== null && project !== null && project.worker === null ? devNodes([], project) : []
  const known: NodeOptions = {
    ...(local === undefined ? {} : { node: local.name, datacenter: local.datacenter, types: local.types.join() }),
    // `resile dev` goes by its own addresses, whatever worker.hcl says.
    ...(dev === null
      ? {}
      : { coordinator: `unix:${dev.socket}`, temporalAddress: dev.temporal, temporalPlaintext: true }),
    ...options,
  }
  const config = nodeConfig(known, project ?? { worker: null, commands: {} })
  const address = known.coordinator ?? config.coordinator?.url
  const pattern = project?.coordinator.server_config?.worker_id
  return {
    config,
    directory: dir,
    coordinator: address === undefined ? null : nodeCoordinator(address, options, config),
    expectedId: pattern?.replace('{node}', config.node) ?? null,
    detected: Object.fromEntries(
      Object.entries(project?.detectors ?? {}).flatMap(([name, { target }]) =>
        target?.node !== undefined && isFixed(target.node) ? [[name, target.node]] : [],
      ),
    ),
  }
}

/** The `resile dev` that runs on this data; null when there is none. */
async function runningDev(data: string): Promise<DevFile | null> {
  try {
    const file = JSON.parse(await readFile(join(data, DEV_FILE), 'utf8')) as DevFile
    process.kill(file.pid, 0)
    return file
  } catch {
    return null
  }
}

function checksOf(patient: Patient, closing: (() => unknown)[]): Check[] {
  const { config, directory, coordinator, expectedId } = patient
  const { node, datacenter, types } = config
  const temporal = new TemporalDoctor(config.temporal)
  closing.push(() => temporal.close())
  const tls = coordinator !== null && 'url' in coordinator && coordinator.url.startsWith('https:')
  return [
    { name: 'commands', run: () => checkCommands(config.command, directory) },
    { name: 'certificates', run: () => checkCertificates(tls ? (coordinator.tls ?? {}) : null, expectedId) },
    ...coordinatorChecks(patient, closing),
    { name: 'temporal', run: () => temporal.checkTemporal() },
    { name: 'queues', run: () => temporal.checkQueues(queuesOfNode(datacenter, node, types), node) },
    { name: 'workflows', run: () => temporal.checkWorkflows(datacenterQueue(datacenter)) },
  ]
}

function coordinatorChecks({ config, coordinator, detected }: Patient, closing: (() => unknown)[]): Check[] {
  if (coordinator === null) {
    const run = () => fail('none is named', 'give worker.hcl a coordinator block, or name one with --coordinator')
    return [{ name: 'coordinator', run }]
  }
  const client = new CoordinatorClient(coordinator)
  closing.push(() => client.close())
  const heartbeat = async () => checkHeartbeat(client, config.node, await readBootId(config.boot_id_file))
  return [
    { name: 'coordinator', run: () => checkCoordinator(client) },
    { name: 'clock', run: () => checkClock(client) },
    { name: 'permits', run: () => checkPermits(client, config.permits.jwks_files) },
    { name: 'heartbeat', run: heartbeat },
    ...(Object.keys(detected).length === 0
      ? []
      : [{ name: 'detectors', run: () => checkDetectorNodes(client, detected) }]),
  ]
}

function report(checks: readonly Checked[], json: boolean): void {
  const isWell = checks.every(({ status }) => status !== 'fail')
  if (json) {
    console.log(JSON.stringify({ ok: isWell, checks }))
  } else {
    const rows = checks.map(({ name, status, detail, hint }) => [
      name,
      status,
      hint === null ? detail : `${detail}\n→ ${hint}`,
    ])
    console.log(table(['CHECK', 'STATUS', 'FINDING'], rows))
  }
  process.exitCode = isWell ? EXIT.ok : EXIT.failed
}

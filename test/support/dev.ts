/** `resile dev` for one test, on free ports and with a separate data directory. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { env as environment, kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { inject } from 'vitest'
import { atEnd } from './cleanup.ts'
import { dataDirectory } from './data.ts'
import { repository } from './files.ts'
import { type Answer, admitted, type Call, call, callSocket, type Execution, type Started, start } from './http.ts'
import { portRange } from './ports.ts'
import { type Ended, gone, isRunning, type Running, resile, startResile } from './processes.ts'
import { newNamespace, type TemporalNamespace } from './shared-temporal.ts'
import { Temporal } from './temporal.ts'
import { type Patience, until } from './until.ts'

/** `DATA/dev.json`. */
export interface DevFile {
  pid: number
  coordinator: string
  socket: string
  temporal: string
  temporal_http: string
  ui: string
  metrics: Record<string, string>
  processes: { role: string; name: string; pid: number }[]
}

export interface DevOptions {
  project: string
  /** `'own'` for a Temporal that it starts itself, which a test may stop. A fresh namespace in the shared one without. */
  temporal?: 'own' | Pick<TemporalNamespace, 'address' | 'httpUrl' | 'namespace'>
  /** A fresh directory without. */
  data?: string
  nodes?: readonly string[]
  flags?: readonly string[]
}

/** Statuses that no execution leaves. */
const closed = ['completed', 'failed', 'timed_out', 'canceled', 'terminated', 'expired']

/** One run of `resile dev` that has said that it is ready. */
export class Dev {
  readonly project: string
  readonly data: string
  readonly process: Running
  /** What the ready line says. */
  readonly ready: Readonly<Record<string, string>>
  readonly temporal: Temporal

  constructor(project: string, data: string, process: Running, ready: Record<string, string>) {
    this.project = project
    this.data = data
    this.process = process
    this.ready = ready
    this.temporal = new Temporal(this.at('temporal_http'), this.at('namespace'))
  }

  /** A value of the ready line, which must be there. */
  at(key: string): string {
    const value = this.ready[key]
    if (value === undefined) throw new Error(`the ready line has no ${key}`)
    return value
  }

  get coordinator(): string {
    return this.at('coordinator')
  }

  get file(): DevFile {
    return JSON.parse(readFileSync(join(this.data, 'dev.json'), 'utf8')) as DevFile
  }

  /** The pids of its children, of one role or of all. */
  pids(role?: string): number[] {
    return this.file.processes.filter((child) => role === undefined || child.role === role).map(({ pid }) => pid)
  }

  /** The pid of the only child of a role. */
  pid(role: string): number {
    const [pid, ...others] = this.pids(role)
    if (pid === undefined || others.length > 0) throw new Error(`not exactly one ${role}`)
    return pid
  }

  /** Asks its coordinator over TCP. */
  async call<T>(path: string, sent: Call = {}): Promise<Answer<T>> {
    return call<T>(this.coordinator + path, sent)
  }

  /** Asks its coordinator over the unix socket, as the operator. */
  async callSocket<T>(path: string, sent: Call = {}): Promise<Answer<T>> {
    return callSocket<T>(this.file.socket, path, sent)
  }

  /** Starts a workflow, whatever the answer. */
  async start(workflow: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer<unknown>> {
    return start(this.coordinator, workflow, body, headers)
  }

  /** Starts a workflow that has to be admitted and started. */
  async started(workflow: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Started> {
    return admitted(await this.start(workflow, body, { prefer: 'wait=30', ...headers }))
  }

  async execution(id: string): Promise<Execution> {
    const { status, body } = await this.call<Execution>(`/v1/executions/${id}`)
    if (status !== 200) throw new Error(`no execution ${id}: ${status}`)
    return body
  }

  /** An execution when it has a certain status. */
  async reaches(id: string, status: string, patience: Patience = {}): Promise<Execution> {
    let seen: Execution | undefined
    const hasIt = async () => {
      seen = await this.execution(id)
      // One that ended otherwise never will.
      return (seen.status === status || closed.includes(seen.status)) && seen
    }
    const execution = await until(`execution ${id} is ${status}`, hasIt, patience).catch((error: unknown) => {
      throw new Error(`${error}: ${JSON.stringify(seen)}`)
    })
    if (execution.status !== status) throw new Error(`not ${status}: ${JSON.stringify(execution)}`)
    return execution
  }

  /** Starts a workflow and waits for its end, `completed` by default. */
  async ran(workflow: string, body: unknown = {}, status = 'completed'): Promise<Execution> {
    const { execution } = await this.started(workflow, body)
    return this.reaches(execution.id, status, { within: 60_000 })
  }

  /** Runs the command against it, by its socket. */
  async resile(...args: string[]): Promise<Ended> {
    return resile([...args, '--project', this.project, '--data', this.data])
  }

  /** Stops it as a service manager does. */
  async stop(): Promise<Ended> {
    this.process.kill('SIGTERM')
    return this.process.ended
  }

  /** Stops it as a terminal does. */
  async interrupt(): Promise<Ended> {
    this.process.interrupt()
    return this.process.ended
  }
}

/** Starts `resile dev` and waits for the ready line. */
export async function startDev(options: DevOptions): Promise<Dev> {
  const data = options.data ?? dataDirectory()
  const flags = [...(options.flags ?? []), ...(await temporalFlags(options))]
  const process = startDevProcess({ ...options, data, flags })
  let ended: Ended | undefined
  void process.ended.then((how) => {
    ended = how
  })
  const readyLine = () => {
    if (ended !== undefined) throw new Error('dev has ended')
    return /^resile ready (.+)$/m.exec(process.said.stdout)?.[1]
  }
  // The first one may have to fetch Temporal.
  const found = await until('resile dev is ready', () => (ended === undefined ? readyLine() : ''), { within: 150_000 })
  if (found === '')
    throw new Error(`resile dev ended with ${ended?.code}:\n${process.said.stdout}${process.said.stderr}`)
  const pairs = found.split(' ').map((pair): [string, string] => {
    const [key = '', ...value] = pair.split('=')
    return [key, value.join('=')]
  })
  const dev = new Dev(options.project, data, process, Object.fromEntries(pairs))
  atEnd(() => end(dev))
  return dev
}

const NAMESPACE = /^temporal \{ namespace = "test-\S+" \}$/m

/** Which Temporal `resile dev` uses. The namespace is a matter of the project, which keeps it when it is started again. */
async function temporalFlags({ project, temporal, flags = [] }: DevOptions): Promise<string[]> {
  if (temporal === 'own' || project === repository || flags.includes('--temporal-address')) return []
  const file = join(project, 'coordinator.hcl')
  const hcl = readFileSync(file, 'utf8')
  const { address, httpUrl } = temporal ?? inject('sharedTemporal')
  if (!NAMESPACE.test(hcl)) {
    const { namespace } = temporal ?? (await newNamespace())
    writeFileSync(file, `${hcl}\ntemporal { namespace = "${namespace}" }\n`)
  }
  return ['--temporal-address', address, '--temporal-http', httpUrl]
}

/** Nicely if it can be, and its children too, by their pids. */
async function end(dev: Dev): Promise<void> {
  const pids = dev.pids()
  dev.process.kill('SIGTERM')
  const patient = new AbortController()
  await Promise.race([dev.process.ended, delay(20_000, undefined, { signal: patient.signal }).catch(() => undefined)])
  patient.abort()
  dev.process.kill('SIGKILL')
  await gone(pids, 12_000).catch(() => {
    for (const pid of pids.filter(isRunning)) kill(pid, 'SIGKILL')
  })
}

/** Starts `resile dev` and waits for nothing. */
export function startDevProcess({ project, data, nodes = [], flags = [] }: DevOptions & { data: string }): Running {
  const nodeFlags = nodes.flatMap((node) => ['--node', node])
  const args = ['dev', '--project', project, '--data', data, '--port', '0', ...nodeFlags, ...flags]
  return startResile(args, { env: { ...environment, RESILE_PORTS: portRange() } })
}

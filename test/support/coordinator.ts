/** `resile coordinator` for one test, on a free port, with certificates that the test made. */
import { execFileSync } from 'node:child_process'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { TestAuthority, TestCertificate } from './certificates.ts'
import { atEnd } from './cleanup.ts'
import { dataDirectory } from './data.ts'
import { temporaryDirectory } from './files.ts'
import { type Answer, type Call, callSocket, callWith } from './http.ts'
import { type Ended, gone, isRunning, type Running, startResile } from './processes.ts'
import { exchange, sendRaw } from './raw-http.ts'
import { until } from './until.ts'

/** A client certificate to call with; null for none. */
export type Client = Pick<TestCertificate, 'certPem' | 'keyPem'> | null

/** One line of a log. */
export interface LogLine {
  event: string
  level: string
  [field: string]: unknown
}

/** The files of a coordinator's certificates, which may be replaced at any time. */
export interface ServerFiles {
  cert: string
  key: string
  ca: string
  crl: string
  /** The lines of server_config that name them. */
  hcl: string
  /** Replaces one as a careful operator does, so that it is never half written. */
  replace(file: 'cert' | 'key' | 'ca' | 'crl', text: string): void
}

/** Writes a server's certificate of an authority, and the authority as the clients' own. */
export async function serverFiles(authority: TestAuthority, { crl = false } = {}): Promise<ServerFiles> {
  const directory = temporaryDirectory()
  const at = (name: string) => join(directory, `${name}.pem`)
  const files = { cert: at('server'), key: at('server-key'), ca: at('clients'), crl: at('revoked') }
  const replace: ServerFiles['replace'] = (file, text) => {
    writeFileSync(`${files[file]}.new`, text, { mode: 0o600 })
    renameSync(`${files[file]}.new`, files[file])
  }
  const { certPem, keyPem } = await serverCertificate(authority)
  replace('cert', certPem)
  replace('key', keyPem)
  replace('ca', authority.caPem)
  if (crl) replace('crl', await authority.crlPem([]))
  const lines = [
    'enable_tls = true',
    `cert_file = "${files.cert}"`,
    `key_file = "${files.key}"`,
    `client_ca_file = "${files.ca}"`,
    ...(crl ? [`crl_file = "${files.crl}"`] : []),
  ]
  return { ...files, hcl: lines.join('\n'), replace }
}

/** A certificate for a server that is called by its loopback names. */
export function serverCertificate(authority: TestAuthority): Promise<TestCertificate> {
  return authority.issue({ server: true, dns: ['localhost'] })
}

/** A coordinator.hcl. Its Temporal is one that nobody runs: whatever is admitted waits. */
export function coordinatorHcl(serverConfig: string): string {
  return `datacenter = "dc1"
server_config {
  ${serverConfig}
}
temporal {
  http_url = "http://127.0.0.1:1"
}
`
}

export interface CoordinatorOptions {
  project: string
  /** A fresh directory without. */
  data?: string
  listen?: string
}

/** One run of `resile coordinator` that has said that it is ready. */
export class Coordinator {
  readonly data: string
  readonly process: Running
  readonly url: string
  readonly socket: string

  constructor(data: string, process: Running, url: string, socket: string) {
    this.data = data
    this.process = process
    this.url = url
    this.socket = socket
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  /** Sends a request with a client certificate or without, on a separate connection or on those of an agent. */
  async call<T>(path: string, client: Client = null, sent: Call = {}, agent?: Agent): Promise<Answer<T>> {
    return callWith<T>({ ...this.#to(client), agent: agent ?? false }, path, sent)
  }

  /** Asks over the unix socket, as the operator. */
  async callSocket<T>(path: string, sent: Call = {}): Promise<Answer<T>> {
    return callSocket<T>(this.socket, path, sent)
  }

  /** Sends bytes as they are, and reads one answer. */
  async raw(bytes: string | Buffer, client: Client = null): Promise<Answer<unknown>> {
    return sendRaw(this.url, bytes, tlsOf(client))
  }

  /** Sends bytes as they are, and returns all that comes. */
  async exchange(bytes: string | Buffer, client: Client = null): Promise<string> {
    return exchange(this.url, bytes, tlsOf(client))
  }

  /** What it has logged, and workerd: requests among it. */
  get log(): LogLine[] {
    const lines = this.process.said.stdout.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
    return lines.map((line) => JSON.parse(line) as LogLine)
  }

  /** The line of the access log of a request that was given this id. */
  async logged(requestId: string): Promise<LogLine> {
    return until(`${requestId} is in the access log`, () => this.log.find((line) => line['request_id'] === requestId))
  }

  /** The pid of workerd, as its supervisor noted it. */
  get workerd(): number {
    const children = JSON.parse(readFileSync(join(this.data, 'children.json'), 'utf8')) as { pid: number }[]
    const [child, ...others] = children
    if (child === undefined || others.length > 0) throw new Error('not exactly one child')
    return child.pid
  }

  /** Stops it as a service manager does. */
  async stop(): Promise<Ended> {
    this.process.kill('SIGTERM')
    return this.process.ended
  }

  #to(client: Client) {
    return { protocol: new URL(this.url).protocol, host: '127.0.0.1', port: this.port, ...tlsOf(client) }
  }
}

/** Connections that are kept open, for one client. */
export function keepAlive(): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  atEnd(() => agent.destroy())
  return agent
}

/** How a client connects. Whether it trusts the server is another matter. */
export function tlsOf(client: Client): ConnectionOptions {
  return {
    rejectUnauthorized: false,
    servername: 'localhost',
    ...(client === null ? {} : { cert: client.certPem, key: client.keyPem }),
  }
}

/** A TLS connection that is closed at the end. */
export async function connected(coordinator: Coordinator, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: coordinator.port, ...options }, () => resolve(socket))
    socket.on('error', reject)
    atEnd(() => socket.destroy())
  })
}

/** Starts `resile coordinator` and waits for the ready line. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const data = options.data ?? dataDirectory()
  const process = startCoordinatorProcess({ ...options, data })
  let ended: Ended | undefined
  void process.ended.then((how) => {
    ended = how
  })
  const readyLine = () => /^resile ready coordinator=(\S+) socket=(\S+) pid=\d+$/m.exec(process.said.stdout)
  const found = await until(
    'resile coordinator is ready',
    () => (ended === undefined ? (readyLine() ?? false) : null),
    {
      within: 60_000,
    },
  )
  if (found === null)
    throw new Error(`resile coordinator ended with ${ended?.code}:\n${process.said.stdout}${process.said.stderr}`)
  const [, url = '', socket = ''] = found
  const coordinator = new Coordinator(data, process, url, socket)
  atEnd(() => end(coordinator))
  return coordinator
}

/** Starts `resile coordinator` and waits for nothing. */
export function startCoordinatorProcess({ project, data, listen }: CoordinatorOptions & { data: string }): Running {
  return startResile(['coordinator', '--project', project, '--data', data, '--listen', listen ?? '127.0.0.1:0'])
}

/** Nicely if it can be, and workerd too. */
async function end(coordinator: Coordinator): Promise<void> {
  const pids = below(coordinator.process.pid)
  coordinator.process.kill('SIGTERM')
  const patient = new AbortController()
  await Promise.race([
    coordinator.process.ended,
    delay(10_000, undefined, { signal: patient.signal }).catch(() => undefined),
  ])
  patient.abort()
  coordinator.process.kill('SIGKILL')
  await gone(pids, 12_000).catch(() => {
    for (const pid of pids.filter(isRunning)) kill(pid, 'SIGKILL')
  })
}

/** The pids of all processes that a process has started, and that these have. */
export function below(pid: number): number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
  const pairs = table.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  const found: number[] = []
  for (let next: number[] = [pid]; next.length > 0; ) {
    next = pairs.filter(([, parent = -1]) => next.includes(parent)).map(([child = -1]) => child)
    found.push(...next)
  }
  return found
}

/** A real HAProxy in front of servers of a test, with health checks. */
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { temporaryDirectory } from './files.ts'
import { freePort } from './ports.ts'
import { run } from './processes.ts'
import { until } from './until.ts'

/** A server of a backend. */
export interface BalancedBackend {
  name: string
  port: number
  /** More of its `server` line, such as `backup` or `weight 0`. */
  flags?: string
}

/** One running HAProxy. */
export interface Haproxy {
  /** Its frontend, which leads to the backend `web`. */
  url: string
  /** `HOST:PORT` of its Prometheus exporter. */
  metrics: string
  /** Its admin socket. */
  socket: string
  /** Sends one command to the runtime API. */
  ask(command: string): Promise<string>
  /** The column `status` of `show stat`, by server. */
  states(backend?: string): Promise<Record<string, string>>
  /** Loads its configuration again in a new process, as a service manager's reload does. */
  reload(): Promise<void>
}

/**
 * Starts HAProxy.
 *
 * @param backends servers by backend; `web` must be one
 * @param lines further lines of each backend, such as `option httpchk`
 */
export async function startHaproxy(
  backends: Readonly<Record<string, readonly BalancedBackend[]>>,
  lines: readonly string[] = [],
): Promise<Haproxy> {
  const directory = temporaryDirectory()
  const socket = join(directory, 'admin.sock')
  const config = join(directory, 'haproxy.cfg')
  const [front, metrics] = [await freePort(), await freePort()]
  const sections = Object.entries(backends).map(([name, servers]) =>
    [
      `backend ${name}`,
      '  balance roundrobin',
      ...lines.map((line) => `  ${line}`),
      ...servers.map(({ name: server, port, flags = '' }) => `  server ${server} 127.0.0.1:${port} check ${flags}`),
    ].join('\n'),
  )
  writeFileSync(
    config,
    `global
  stats socket ${socket} mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  default-server inter 500ms
frontend clients
  bind 127.0.0.1:${front}
  default_backend web
frontend metrics
  bind 127.0.0.1:${metrics}
  http-request use-service prometheus-exporter if { path /metrics }
${sections.join('\n')}
`,
  )
  const ask = async (command: string): Promise<string> => {
    const connection = connect({ path: socket })
    connection.write(`${command}\n`)
    return text(connection)
  }
  const url = `http://127.0.0.1:${front}/`
  const master = run('haproxy', ['-W', '-db', '-f', config])
  await until('HAProxy answers', async () => (await fetch(url)).ok)
  return {
    url,
    metrics: `127.0.0.1:${metrics}`,
    socket,
    ask,
    async states(backend = 'web') {
      const [header = '', ...rows] = (await ask(`show stat ${backend} 4 -1`)).trim().split('\n')
      const column = (name: string): number => header.replace('# ', '').split(',').indexOf(name)
      const cells = rows.map((row) => row.split(','))
      return Object.fromEntries(cells.map((row) => [row[column('svname')] ?? '', row[column('status')] ?? '']))
    },
    async reload() {
      const pid = async (): Promise<string | undefined> => /^Pid: (\d+)$/m.exec(await ask('show info'))?.[1]
      const before = await pid()
      master.kill('SIGUSR2')
      await until('the new process answers', async () => (await pid().catch(() => before)) !== before)
    },
  }
}

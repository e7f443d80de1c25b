/**
 * A Temporal that demands client certificates: the suite's own behind a TLS terminator, or where
 * RESILE_TEST_TEMPORAL_SERVER names the program, Temporal's server with its own TLS (`requireClientAuth`).
 *
 * @see https://docs.temporal.io/references/configuration#tls
 */
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import type { TestAuthority } from './certificates.ts'
import { atEnd } from './cleanup.ts'
import { temporaryDirectory } from './files.ts'
import { freePort } from './ports.ts'
import { run } from './processes.ts'
import { newNamespace } from './shared-temporal.ts'
import { terminateTls } from './tls-terminator.ts'
import { until } from './until.ts'

/** How it is reached over TLS on loopback. */
export interface TlsTemporal {
  grpcPort: number
  httpPort: number
  namespace: string
  /** Serial numbers of the certificates that were accepted; null where that can't be seen. */
  accepted: () => { grpc: string[]; http: string[] } | null
  /** Refuses a certificate from now on; nothing where that can't be done. */
  revoke: (serial: string) => void
}

/** Starts it. @param name the only one that its certificate is for */
export async function temporalWithTls(authority: TestAuthority, name: string): Promise<TlsTemporal> {
  const program = process.env['RESILE_TEST_TEMPORAL_SERVER']
  return program === undefined ? behindTerminator(authority, name) : ownTls(program, authority, name)
}

async function behindTerminator(authority: TestAuthority, name: string): Promise<TlsTemporal> {
  const { address, httpUrl, namespace } = await newNamespace()
  const grpc = await terminateTls(Number(new URL(`http://${address}`).port), 'h2', authority, name)
  const http = await terminateTls(Number(new URL(httpUrl).port), 'http/1.1', authority, name)
  return {
    grpcPort: grpc.port,
    httpPort: http.port,
    namespace,
    accepted: () => ({ grpc: grpc.accepted, http: http.accepted }),
    revoke: (serial) => {
      grpc.revoke(serial)
      http.revoke(serial)
    },
  }
}

async function ownTls(program: string, authority: TestAuthority, name: string): Promise<TlsTemporal> {
  const directory = temporaryDirectory()
  const put = (file: string, text: string): string => {
    writeFileSync(join(directory, file), text, { mode: 0o600 })
    return join(directory, file)
  }
  const server = await authority.issue({ server: true, dns: [name] })
  const tls = {
    server: {
      certFile: put('server.pem', server.certPem),
      keyFile: put('server-key.pem', server.keyPem),
      requireClientAuth: true,
      clientCaFiles: [put('ca.pem', authority.caPem)],
    },
    client: { serverName: name, rootCaFiles: [join(directory, 'ca.pem')] },
  }
  const ports = await Promise.all(Array.from({ length: 9 }, freePort))
  const [grpcPort = 0, httpPort = 0] = ports
  const service = (index: number, more = {}) => ({
    rpc: { grpcPort: ports[index], membershipPort: ports[index + 1], bindOnLocalHost: true, ...more },
  })
  const store = {
    sql: {
      pluginName: 'sqlite',
      databaseName: 'default',
      connectAddr: 'localhost',
      connectProtocol: 'tcp',
      maxConns: 1,
      maxIdleConns: 1,
      connectAttributes: { mode: 'memory', cache: 'private' },
    },
  }
  const config = {
    log: { stdout: true, level: 'error' },
    persistence: {
      defaultStore: 'sqlite',
      visibilityStore: 'sqlite',
      numHistoryShards: 1,
      datastores: { sqlite: store },
    },
    global: { membership: { maxJoinDuration: '30s', broadcastAddress: '127.0.0.1' }, tls: { frontend: tls } },
    services: {
      frontend: {
        rpc: { grpcPort, membershipPort: ports[2], httpPort, bindOnLocalHost: true },
      },
      history: service(3),
      matching: service(5),
      worker: service(7),
    },
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: {
        active: {
          enabled: true,
          initialFailoverVersion: 1,
          rpcName: 'frontend',
          rpcAddress: `127.0.0.1:${grpcPort}`,
          httpAddress: `127.0.0.1:${httpPort}`,
        },
      },
    },
    dcRedirectionPolicy: { policy: 'noop' },
  }
  // JSON is YAML.
  const running = run(program, [
    '--config-file',
    put('temporal.yaml', JSON.stringify(config)),
    '--allow-no-auth',
    'start',
  ])
  atEnd(async () => {
    running.kill('SIGKILL')
    await running.ended
  })
  const client = await authority.issue()
  const agent = new Agent({ ca: authority.caPem, cert: client.certPem, key: client.keyPem, servername: name })
  atEnd(() => agent.destroy())
  const namespace = 'tls'
  const body = JSON.stringify({ namespace, workflowExecutionRetentionPeriod: '86400s' })
  const made = (): Promise<boolean> =>
    new Promise((resolve) => {
      const headers = { 'content-type': 'application/json' }
      const options = { host: '127.0.0.1', port: httpPort, path: '/api/v1/namespaces', method: 'POST', headers, agent }
      const sent = request(options, ({ statusCode = 0 }) => resolve([200, 409].includes(statusCode)))
      sent.once('error', () => resolve(false))
      sent.end(body)
    })
  await until('the namespace is there', made, { within: 60_000, every: 500 })
  return { grpcPort, httpPort, namespace, accepted: () => null, revoke: () => undefined }
}

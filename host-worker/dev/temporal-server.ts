/** Temporal for `resile dev`: its own dev server, or one that is there already. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import type { ChildSpec } from '../process/supervisor.ts'

/** Where Temporal answers. */
export interface TemporalAddresses {
  /** `HOST:PORT` of gRPC. */
  address: string
  httpUrl: string
  /** Null when it isn't our own. */
  ui: string | null
}

/**
 * How long our own Temporal keeps closed executions: 32 days, longer than the longest period a constraint may have, so
 * that a ledger can always be checked against it.
 */
const RETENTION = '2764800s'

/**
 * The Temporal that was named on the command line, null for an own one.
 *
 * @throws CommandError `usage`
 */
export function givenTemporal(options: { temporalAddress?: string; temporalHttp?: string }): TemporalAddresses | null {
  const { temporalAddress, temporalHttp } = options
  if (temporalAddress === undefined && temporalHttp === undefined) return null
  if (temporalAddress === undefined || temporalHttp === undefined) {
    throw new CommandError('--temporal-address and --temporal-http go together', EXIT.usage)
  }
  if (!URL.canParse(temporalHttp)) throw new CommandError(`--temporal-http is not a URL: ${temporalHttp}`, EXIT.usage)
  return { address: temporalAddress, httpUrl: temporalHttp, ui: null }
}

/** A dev server of `resile dev`, whose state is stored in the data directory. */
export async function ownTemporal(
  data: string,
  namespace: string,
  [grpc, http, ui]: readonly [number, number, number],
  progress: (line: string) => void,
): Promise<{ addresses: TemporalAddresses; spec: ChildSpec }> {
  const { findTemporalCli } = await import('./temporal-cli/cli.ts')
  const cli = await findTemporalCli({ log: progress })
  const directory = join(data, 'temporal')
  const prepare = async (): Promise<void> => {
    await mkdir(directory, { recursive: true })
  }
  await prepare()
  const httpUrl = `http://127.0.0.1:${http}`
  return {
    addresses: { address: `127.0.0.1:${grpc}`, httpUrl, ui: `http://127.0.0.1:${ui}` },
    spec: {
      role: 'temporal',
      name: 'temporal',
      command: cli.path,
      args: [
        'server',
        'start-dev',
        '--ip',
        '127.0.0.1',
        '--port',
        String(grpc),
        '--http-port',
        String(http),
        '--ui-port',
        String(ui),
        '--namespace',
        namespace,
        '--db-filename',
        join(directory, 'temporal.db'),
        '--log-level',
        'warn',
      ],
      restart: true,
      prepare,
      readyTimeoutMs: 60_000,
      ready: (signal) => keepLongEnough(httpUrl, namespace, signal),
      logFile: join(data, 'logs/temporal.log'),
    },
  }
}

/** Sets the namespace's retention; resolves once Temporal has done it, and so is up. */
async function keepLongEnough(httpUrl: string, namespace: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(`${httpUrl}/api/v1/namespaces/${namespace}/update`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ config: { workflowExecutionRetentionTtl: RETENTION } }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]),
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`)
}

/** A worker's own metrics, as Prometheus text over HTTP. */
import { createServer } from 'node:http'
import { Counter, Registry } from '@prometheus-io/client'
import { log } from '../../shared/log.ts'
import { PERMIT_REFUSALS, type PermitRefusal } from '../../shared/permit.ts'

/** What a worker counts. */
export class WorkerMetrics {
  readonly #registry = new Registry()
  readonly #permitsRefused = new Counter({
    name: 'resile_permit_refused_total',
    help: 'Activities that wanted to change the host without a valid permit, by what was wrong',
    labelNames: ['reason'],
    registers: [this.#registry],
  })

  constructor() {
    // Zero from the start, so that a rule over it is never without data.
    for (const reason of PERMIT_REFUSALS) this.#permitsRefused.inc({ reason }, 0)
  }

  permitRefused(reason: PermitRefusal): void {
    this.#permitsRefused.inc({ reason })
  }

  /** As Prometheus text. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }
}

/**
 * Serves metrics at `/metrics`.
 *
 * @param listen `HOST:PORT`
 * @returns what ends it
 * @throws Error when it can't listen there
 */
export async function serveMetrics(metrics: WorkerMetrics, listen: string): Promise<() => void> {
  const { hostname, port } = new URL(`http://${listen}`)
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(Number(port || 80), hostname.replace(/^\[|\]$/g, ''), resolve)
  })
  log('info', 'metrics', { url: `http://${listen}/metrics` })
  return () => {
    server.closeAllConnections()
    server.close()
  }
}

/**
 * The sample service of `npm start`: a real process that serves HTTP and can be made sick.
 *
 *     GET /         200 while healthy, 500 once broken
 *     POST /break   makes it sick; only a restart heals it
 *     GET /metrics  the same as Prometheus text
 */
import { createServer } from 'node:http'

const port = Number(process.argv[2] ?? 0)
let healthy = true
const requests = new Map<number, number>()

createServer((request, response) => {
  const answer = (status: number, text: string): void => {
    requests.set(status, (requests.get(status) ?? 0) + 1)
    response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`)
  }
  const { method, url } = request
  if (url === '/break' && method === 'POST') {
    healthy = false
    answer(200, 'broken: only a restart heals it')
  } else if (url === '/break') answer(405, 'POST /break makes the service sick')
  else if (url === '/metrics') answer(200, metrics())
  else if (url === '/') answer(healthy ? 200 : 500, healthy ? 'healthy' : 'sick')
  else answer(404, 'not found')
}).listen(port, '127.0.0.1')

/** @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
function metrics(): string {
  return [
    '# HELP sample_healthy Whether the sample service is healthy.',
    '# TYPE sample_healthy gauge',
    `sample_healthy ${healthy ? 1 : 0}`,
    '# HELP sample_requests_total Requests by status.',
    '# TYPE sample_requests_total counter',
    ...[...requests].map(([status, count]) => `sample_requests_total{status="${status}"} ${count}`),
  ].join('\n')
}

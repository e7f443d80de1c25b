/** An errant server behind a real HAProxy, seen by a real Prometheus: out of rotation, repaired, back. */
import { beforeAll, describe, expect, test } from 'vitest'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { atEnd } from '../support/cleanup.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { writeProject } from '../support/files.ts'
import { type Haproxy, startHaproxy } from '../support/haproxy.ts'
import type { Execution, List } from '../support/http.ts'
import { listen, receive } from '../support/http-server.ts'
import { startPrometheus } from '../support/prometheus.ts'
import { stays, until } from '../support/until.ts'

const backends = ['web-1', 'web-2', 'web-3']
const sick = new Set<string>()
/** What the receiver got. */
const told: { type: string; execution: Execution }[] = []

describe.skipIf(lacks('haproxy') || lacks('prometheus'))(
  `${titled('drain-node behind a real HAProxy', 'haproxy')}`,
  () => {
    let dev: Dev
    let haproxy: Haproxy
    const clients = { answers: 0, errors: 0 }

    beforeAll(async () => {
      const ports = new Map<string, number>()
      for (const name of backends) {
        ports.set(name, await listen((_, response) => void response.writeHead(sick.has(name) ? 500 : 200).end(name)))
      }
      // What a host asks its own service; here they are all on one machine.
      const health = await listen((request, response) => {
        response.writeHead(sick.has((request.url ?? '').slice(1)) ? 500 : 200).end()
      })
      const receiver = await receive(told)
      // They count as up as long as they accept connections, whatever they answer.
      haproxy = await startHaproxy({ web: [...ports].map(([name, port]) => ({ name, port })) })
      const prometheus = await startPrometheus({ haproxy: { target: haproxy.metrics, node: 'lb' } })
      const project = writeProject({
        'coordinator.hcl': `
        datacenter = "dc1"
        receiver "oncall" {
          webhook { url = "http://127.0.0.1:${receiver}/" }
        }`,
        'worker.hcl': `
        node = "web-1"
        datacenter = "dc1"
        load_balancer "web" {
          min_servers = 1
          haproxy {
            addresses = ["unix:${haproxy.socket}"]
            backend   = "web"
          }
        }`,
        'detectors.hcl': `
        detector "errant-server" {
          workflow = "drain-node"
          interval = "1s"
          target { node = "\${labels.server}" }
          input = {
            pool = "web"
            check = { url = "http://127.0.0.1:${health}/\${labels.server}" }
            return_within = "5m"
            healthy_for = "3s"
          }
          prometheus {
            url = "${prometheus.url}"
            query = "sum by (server) (rate(haproxy_server_http_responses_total{code=\\"5xx\\"}[5s])) > 1"
          }
        }`,
        'workflows/drain-node.hcl': `
        task_queue_target = "node"
        timeout = "1h"
        constraint {
          kind = "concurrency"
          value = 1
          per = "node"
        }
        escalation { receiver = "oncall" }`,
      })
      dev = await startDev({ project, nodes: backends })
      keepAsking(haproxy.url, clients)
    })

    const executions = async (status: string) => {
      const { body } = await dev.call<List<Execution>>(`/v1/executions?workflow=drain-node&status=${status}`)
      return body.items
    }

    test('all servers well → all serve', async () => {
      await until('clients get answers', () => clients.answers > 20)
      expect(await haproxy.states()).toEqual({ 'web-1': 'UP', 'web-2': 'UP', 'web-3': 'UP' })
      expect(clients.errors).toBe(0)
    })

    test('server answers 500 → drained by itself', async () => {
      sick.add('web-1')
      await until('clients see it', () => clients.errors > 0)
      await until('it is drained', async () => (await haproxy.states())['web-1'] === 'DRAIN', { within: 60_000 })
    })

    test('server drained → clients see no errors', async () => {
      const before = { ...clients }
      await until('some hundred more answers', () => clients.answers > before.answers + 200)
      expect(clients.errors).toBe(before.errors)
      expect((await executions('running')).map(({ target }) => target)).toEqual([{ node: 'web-1' }])
    })

    test('server repaired → returned, the execution has the evidence', async () => {
      sick.delete('web-1')
      await until('it serves again', async () => (await haproxy.states())['web-1'] === 'UP', { within: 60_000 })
      const before = clients.errors
      const [execution] = await until('the execution is completed', async () => {
        const items = await executions('completed')
        return items.length > 0 && items
      })
      expect(execution?.result).toMatchObject({
        health: { status: 500 },
        drained: { changed: true, before: { pool: 'web' }, sessionsLeft: 0 },
        returned: { changed: true },
        after: { ok: true },
      })
      expect(clients.errors).toBe(before)
      expect(told).toEqual([])
    })

    test('two of three out → too_few_servers, one notification', async () => {
      for (const name of ['web-2', 'web-3']) await haproxy.ask(`set server web/${name} state maint`)
      sick.add('web-1')
      const [execution] = await until(
        'the execution has failed',
        async () => {
          const items = await executions('failed')
          return items.length > 0 && items
        },
        { within: 60_000 },
      )
      expect(execution).toMatchObject({ status: 'failed', error: { type: 'too_few_servers' } })
      expect((await haproxy.states())['web-1']).toBe('UP')
      await until('the receiver was told', () => told.length > 0)
      await stays('it is told once', async () => told.length === 1, 10_000)
      expect(told[0]).toMatchObject({ type: 'execution.failed', execution: { id: execution?.id } })
      expect((await executions('failed')).length).toBe(1)
    })
  },
)

/** Sends requests continuously, as clients do, and counts the answers. */
function keepAsking(url: string, counts: { answers: number; errors: number }): void {
  let wanted = true
  const asking = (async () => {
    while (wanted) {
      const { status } = await fetch(url, { headers: { connection: 'close' } }).catch(() => ({ status: 0 }))
      if (status === 200) counts.answers += 1
      else counts.errors += 1
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  atEnd(async () => {
    wanted = false
    await asking
  })
}

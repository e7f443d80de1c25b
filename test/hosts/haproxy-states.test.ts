/** What an operator, a health check, a weight and a reload do to a server behind a real HAProxy, one after another. */
import { beforeAll, describe, expect, test } from 'vitest'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { writeProject } from '../support/files.ts'
import { type Haproxy, startHaproxy } from '../support/haproxy.ts'
import { listen } from '../support/http-server.ts'
import { until } from '../support/until.ts'

const nodes = ['web-1', 'web-2', 'web-3']
const sick = new Set<string>()
const onNode = 'task_queue_target = "node"\ntimeout = "1h"\n'

describe.skipIf(lacks('haproxy'))(`${titled('servers with health checks behind a real HAProxy', 'haproxy')}`, () => {
  let dev: Dev
  let haproxy: Haproxy
  /** Where each node's service is checked, by Resile as by HAProxy. */
  const checks = new Map<string, { url: string }>()

  beforeAll(async () => {
    const servers = []
    for (const name of nodes) {
      const port = await listen((_, response) => void response.writeHead(sick.has(name) ? 500 : 200).end(name))
      servers.push({ name, port })
      checks.set(name, { url: `http://127.0.0.1:${port}/` })
    }
    const spare = servers.slice(0, 2).map((server) => ({ ...server, flags: server.name === 'web-2' ? 'backup' : '' }))
    haproxy = await startHaproxy({ web: servers, spare }, ['option httpchk GET /', 'default-server fall 2 rise 4'])
    const balancer = (name: string) => `
      load_balancer "${name}" {
        min_servers = 1
        haproxy {
          addresses = ["unix:${haproxy.socket}"]
          backend   = "${name}"
        }
      }`
    const project = writeProject({
      'worker.hcl': `
        node = "web-1"
        datacenter = "dc1"
        ${balancer('web')}
        ${balancer('spare')}`,
      'workflows/drain-node.hcl': onNode,
      'workflows/return-node.hcl': onNode,
    })
    dev = await startDev({ project, nodes })
    await until('all are up', async () => Object.values(await haproxy.states()).every((state) => state === 'UP'))
  })

  /** Bit field of the operator's orders. */
  const adminState = async (name: string): Promise<number> => {
    const [, header = '', ...rows] = (await haproxy.ask('show servers state web')).trim().split('\n')
    const columns = header.replace('# ', '').split(' ')
    const row = rows.map((line) => line.split(' ')).find((cells) => cells[columns.indexOf('srv_name')] === name)
    return Number(row?.[columns.indexOf('srv_admin_state')])
  }
  const hasState = (name: string, pattern: RegExp) => async () => pattern.test((await haproxy.states())[name] ?? '')

  test('health check fails, server drained → out, whatever the status says; return-node undoes the drain', async () => {
    sick.add('web-2')
    await until('its health check fails', hasState('web-2', /^DOWN/))
    const drained = await dev.ran('drain-node', { target: { node: 'web-2' }, input: { pool: 'web', drain_for: '5s' } })
    expect(drained.result).toMatchObject({ drained: { changed: true, tookOut: true }, returned: null })
    expect(await adminState('web-2')).not.toBe(0)

    sick.delete('web-2')
    const input = { pool: 'web', check: checks.get('web-2'), healthy_for: '1s' }
    const { result } = await dev.ran('return-node', { target: { node: 'web-2' }, input })
    expect(result).toMatchObject({ returned: { changed: true } })
    expect(await adminState('web-2')).toBe(0)
    expect((await haproxy.states())['web-2']).toBe('UP')
  })

  test('returned before its health check has risen → waited for', async () => {
    sick.add('web-2')
    await until('its health check fails', hasState('web-2', /^DOWN/))
    await haproxy.ask('set server web/web-2 state drain')
    sick.delete('web-2')
    const input = { pool: 'web', check: checks.get('web-2'), healthy_for: '1ms' }
    const { result } = await dev.ran('return-node', { target: { node: 'web-2' }, input })
    const { before, after } = (result as { returned: Record<'before' | 'after', { servers: object[] }> }).returned
    expect(before.servers).toContainEqual(expect.objectContaining({ node: 'web-2', serving: false }))
    const up = { node: 'web-2', serving: true, state: expect.stringMatching(/^UP/) }
    expect(after.servers).toContainEqual(expect.objectContaining(up))
  })

  test.each([
    ['weight 0', 'set server web/web-2 weight 0', 'set server web/web-2 weight 1'],
    ['in maintenance', 'set server web/web-2 state maint', 'set server web/web-2 state ready'],
    ['drained', 'set server web/web-2 state drain', 'set server web/web-2 state ready'],
  ])('other server %s → does not count as serving', async (_, order, undo) => {
    await haproxy.ask('set server web/web-3 state maint')
    await haproxy.ask(order)
    const { error } = await dev.ran('drain-node', { target: { node: 'web-1' }, input: { pool: 'web' } }, 'failed')
    expect(error).toMatchObject({ type: 'too_few_servers' })
    expect((await haproxy.states())['web-1']).toBe('UP')
    await haproxy.ask(undo)
    await haproxy.ask('set server web/web-3 state ready')
    await until('all are up', async () => Object.values(await haproxy.states()).every((state) => state === 'UP'))
  })

  test('backup alone left → too_few_servers', async () => {
    const { error } = await dev.ran('drain-node', { target: { node: 'web-1' }, input: { pool: 'spare' } }, 'failed')
    expect(error).toMatchObject({ type: 'too_few_servers' })
  })

  test('reload returns a drained server → drained again, and reported', async () => {
    sick.add('web-1')
    const input = { pool: 'web', check: checks.get('web-1'), return_within: '10m', healthy_for: '1s' }
    const { execution } = await dev.started('drain-node', { target: { node: 'web-1' }, input })
    const isDrained = async (): Promise<boolean> => (await adminState('web-1')) !== 0
    await until('it is drained', isDrained, { within: 60_000 })
    await haproxy.reload()
    expect(await adminState('web-1')).toBe(0)
    await until('it is drained again', isDrained, { within: 90_000 })
    sick.delete('web-1')
    const { result } = await dev.reaches(execution.id, 'completed', { within: 90_000 })
    expect(result).toMatchObject({ drained: { tookOut: true, drainedAgain: 1 }, returned: { changed: true } })
  })
})

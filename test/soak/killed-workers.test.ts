/** The worker is killed at each step of what must not be done twice; Temporal's history and the hosts tell what happened. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { kill } from 'node:process'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { temporaryDirectory, writeProject } from '../support/files.ts'
import type { Execution } from '../support/http.ts'
import { lengthy } from '../support/soak.ts'
import { until } from '../support/until.ts'

/** The activities of each. */
const REBOOT_STEPS = 9
const WIPE_STEPS = 11
/** At which of them a worker is killed: all, or every other one. */
const stepsUpTo = (last: number): number[] =>
  Array.from({ length: last }, (_, index) => index + 1).filter((step) => lengthy(true, step % 2 === 1))
/** One node for each: their executions run beside each other. */
const reboots = stepsUpTo(REBOOT_STEPS).map((step) => `reboot-${step}`)
const wipes = stepsUpTo(WIPE_STEPS).map((step) => `wipe-${step}`)
const stepOf = (node: string): number => Number(node.split('-')[1])
const nodes = [...reboots, ...wipes]

const scratch = temporaryDirectory()
const inRotation = new Map(nodes.map((node) => [node, true]))

/** The hosts' services, which answer once the host is as it should be, and their load balancer. */
const server = createServer((request, response) => {
  const [, what = '', node = ''] = (request.url ?? '').split('/')
  if (what === 'health') response.writeHead(done(node, 'last') > 0 ? 200 : 500).end()
  else if (request.method === 'PUT') {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      inRotation.set(node, (JSON.parse(body) as { in_rotation: boolean }).in_rotation)
      response.end()
    })
  } else {
    const servers = [...inRotation].map(([name, is]) => ({ name, in_rotation: is, serving: is, sessions: 0 }))
    response.end(JSON.stringify({ servers }))
  }
})

/** How often a node has done something, by the lines that its commands wrote. */
function done(node: string, what: string): number {
  const file = join(scratch, `${node}.log`)
  if (!existsSync(file)) return 0
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line === what).length
}

let dev: Dev
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const data = temporaryDirectory()
  // The double of a reboot: what runs on the machine dies a moment later, and when it is back its boot id is another.
  const double = join(scratch, 'reboot.mjs')
  writeFileSync(
    double,
    `import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
     const node = process.env.RESILE_NODE
     appendFileSync('${scratch}/' + node + '.log', 'reboot\\n')
     await new Promise((resolve) => setTimeout(resolve, 500))
     const { processes } = JSON.parse(readFileSync('${data}/dev.json', 'utf8'))
     const { pid } = processes.find(({ role, name }) => role === 'worker' && name === node)
     try { process.kill(pid, 'SIGKILL') } catch {}
     writeFileSync('${scratch}/' + node + '.boot', 'after')
     appendFileSync('${scratch}/' + node + '.log', 'last\\n')`,
  )
  for (const node of nodes) writeFileSync(join(scratch, `${node}.boot`), 'before')
  const say = (what: string, more = '') =>
    `["/bin/sh", "-c", "echo ${what} >> ${scratch}/$RESILE_NODE.log; sleep 0.5${more}"]`
  const project = writeProject({
    'worker.hcl': `
      node = "unused"
      datacenter = "dc1"
      boot_id_file = "${scratch}/{node}.boot"
      command "reboot" {
        argv = ["${process.execPath}", "${double}"]
        workflows = ["reboot-node"]
      }
      command "wipe" {
        argv = ${say('wipe')}
        workflows = ["wipe-and-reset"]
      }
      command "provision" {
        argv = ${say('provision', `; echo last >> ${scratch}/$RESILE_NODE.log`)}
        workflows = ["wipe-and-reset"]
      }
      load_balancer "web" {
        min_servers = 1
        http { url = "http://127.0.0.1:${port}/pool" }
      }`,
    // The library's own, with limits that let them run beside each other.
    'workflows/reboot-node.hcl': workflow(['pool', 'within', 'verify_for']),
    'workflows/wipe-and-reset.hcl': workflow(['pool', 'verify_for']),
  })
  dev = await startDev({ project, data, nodes })
  return () => {
    server.closeAllConnections()
    server.close()
  }
}, 300_000)

function workflow(texts: string[]): string {
  const inputs = [...texts.map((name) => [name, 'string']), ['check', 'object']]
  return `task_queue_target = "node"
    ${inputs.map(([name, type]) => `input "${name}" { type = "${type}" }`).join('\n')}`
}

/** Kills the worker of a node as soon as the history of an execution shows that this many activities were scheduled. */
async function killAt(step: number, node: string, execution: string): Promise<boolean> {
  return until(
    `${execution} has come to step ${step}`,
    async () => {
      const events = await dev.temporal.history(execution)
      if (events.some(({ eventType }) => /EXECUTION_(COMPLETED|FAILED|TIMED_OUT)/.test(eventType))) return 'over'
      const scheduled = events.filter(({ activityTaskScheduledEventAttributes: it }) => it !== undefined).length
      if (scheduled < step) return false
      const worker = dev.file.processes.find(({ role, name }) => role === 'worker' && name === node)
      try {
        kill(worker?.pid ?? 0, 'SIGKILL')
      } catch {
        // It was down already: that is a step too.
      }
      return 'killed'
    },
    { within: 200_000, every: 20 },
  ).then((how) => how === 'killed')
}

async function sweep(workflowName: string, names: string[], last: number, input: object): Promise<Execution[]> {
  return Promise.all(
    names.map(async (node) => {
      const { port } = server.address() as AddressInfo
      const check = { url: `http://127.0.0.1:${port}/health/${node}` }
      const body = { target: { node }, input: { pool: 'web', check, ...input } }
      const { execution } = await dev.started(workflowName, body)
      const killed = await killAt(stepOf(node), node, execution.id)
      // The last one only looks, and may be over before anybody sees it.
      expect([node, killed || stepOf(node) === last]).toEqual([node, true])
      return dev.reaches(execution.id, 'completed', { within: 300_000 })
    }),
  )
}

describe('worker killed with SIGKILL at a step', () => {
  // Both at once: most of the time everybody waits for Temporal to notice.
  let rebooted: Promise<Execution[]>
  let wiped: Promise<Execution[]>
  beforeAll(() => {
    rebooted = sweep('reboot-node', reboots, REBOOT_STEPS, { within: '4m', verify_for: '2m' })
    wiped = sweep('wipe-and-reset', wipes, WIPE_STEPS, { verify_for: '2m' })
    for (const sweeping of [rebooted, wiped]) sweeping.catch(() => undefined)
  })

  test('reboot-node → one reboot each, the node is back', { timeout: 600_000 }, async () => {
    for (const [index, { result }] of (await rebooted).entries()) {
      const node = reboots[index] ?? ''
      expect([node, done(node, 'reboot')]).toEqual([node, 1])
      expect(result).toMatchObject({
        reboot: { previousBootId: 'before', bootId: 'after' },
        after: { health: { ok: true } },
      })
      expect(inRotation.get(node)).toBe(true)
    }
  })

  test('wipe-and-reset → one wipe, then one provision, the node is back', { timeout: 600_000 }, async () => {
    for (const [index, { result }] of (await wiped).entries()) {
      const node = wipes[index] ?? ''
      expect(readFileSync(join(scratch, `${node}.log`), 'utf8')).toBe('wipe\nprovision\nlast\n')
      expect(result).toMatchObject({ wiped: { exitCode: 0 }, provisioned: { exitCode: 0 }, returned: {} })
      expect(inRotation.get(node)).toBe(true)
    }
  })
})

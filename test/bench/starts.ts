/**
 * What the coordinator adds to a start, as ratios within one run.
 *
 * Three ways to start the same workflow on the same Temporal, in turns: Temporal's HTTP API directly, a bare Durable
 * Object that inserts, starts and updates, and the coordinator. Absolute numbers are the machine's; the ratios are ours.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { generatePermitKey } from '../../host-worker/certs/permit-keys.ts'
import { coordinatorChild } from '../../host-worker/coordinator/child.ts'
import { findTemporalCli } from '../../host-worker/dev/temporal-cli/cli.ts'
import { startGuardian } from '../../host-worker/process/guardian.ts'
import { choosePorts } from '../../host-worker/process/ports.ts'
import { Supervisor } from '../../host-worker/process/supervisor.ts'
import type { ConfigDocument } from '../../shared/config.ts'
import { encodePayloads } from '../../shared/payload.ts'
import { prepareBareObject } from './bare-object.ts'

const ROUNDS = 6
const SEQUENTIAL = 60
const IN_FLIGHT = 32
const BURST_MS = 3000
const TYPE = 'application/json+no-payload-shorthand'

/** One way to start a workflow. Rejects when it didn't start. */
interface Way {
  name: string
  start: () => Promise<void>
  latencies: number[]
  rates: number[]
}

/** Measures, and prints the ratios. */
export async function benchStarts(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'resile-bench-'))
  const guardian = await startGuardian()
  const supervisor = new Supervisor({ guardian })
  const agent = new Agent({ connections: IN_FLIGHT })
  try {
    const ways = await startAll(supervisor, directory, agent)
    for (const way of ways) await measureLatency(way, 20)
    for (const way of ways) way.latencies.length = 0
    for (let round = 1; round <= ROUNDS; round++) {
      // Another order each round, so that none is always the first or the last.
      for (const way of rotated(ways, round)) await measureLatency(way, SEQUENTIAL)
      for (const way of rotated(ways, round)) await measureThroughput(way)
      const rates = ways.map((way) => `${way.name} ${way.rates.at(-1)?.toFixed(0)}/s`).join(', ')
      console.error(`round ${round} of ${ROUNDS}: ${rates}`)
    }
    report(ways)
  } finally {
    await supervisor.stopAll()
    await guardian.close()
    await agent.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function startAll(supervisor: Supervisor, directory: string, agent: Agent): Promise<[Way, Way, Way]> {
  const [grpc = 0, http = 0, coordinator = 0, bare = 0] = await choosePorts([0, 0, 0, 0], '127.0.0.1')
  const { path } = await findTemporalCli({ log: console.error })
  await supervisor.start({
    role: 'temporal',
    name: 'temporal',
    command: path,
    restart: false,
    ready: answers(`http://127.0.0.1:${http}/api/v1/namespaces/default`),
    args: [
      'server',
      'start-dev',
      '--headless',
      '--ip',
      '127.0.0.1',
      '--port',
      String(grpc),
      '--http-port',
      String(http),
      '--log-level',
      'error',
    ],
  })
  const document: ConfigDocument = {
    version: 1,
    hash: 'bench',
    development: true,
    coordinator: {
      datacenter: 'dc1',
      temporal: { address: `127.0.0.1:${grpc}`, http_url: `http://127.0.0.1:${http}` },
    },
    workflows: {
      bench: {
        task_queue_target: 'node',
        constraint: [
          { kind: 'maxExecution', value: 1_000_000, period: '24h' },
          { kind: 'maxExecution', value: 1_000_000, period: '1h', per: 'node' },
        ],
      },
    },
  }
  await supervisor.start(
    await coordinatorChild({
      directory: join(directory, 'coordinator'),
      document,
      listener: { host: '127.0.0.1', port: coordinator },
      hosts: null,
      secrets: { PERMIT_KEYS: JSON.stringify({ keys: [await generatePermitKey()] }) },
      socket: join(directory, 'c.sock'),
      temporalUrl: `http://127.0.0.1:${http}`,
      readyPath: '/readyz',
    }),
  )
  await supervisor.start({
    role: 'bare',
    name: 'bare',
    restart: false,
    ready: answers(`http://127.0.0.1:${bare}/`),
    ...(await prepareBareObject(join(directory, 'bare'), bare, http)),
  })
  const base = `http://127.0.0.1:${coordinator}`
  const send = (...request: Parameters<Send>): Promise<void> => sendBy(agent, ...request)
  const beat = (): Promise<void> =>
    send(
      'PUT',
      `${base}/v1/nodes/n1`,
      JSON.stringify({
        datacenter: 'dc1',
        queues: [
          { name: 'dc1', workflow_types: ['bench'] },
          { name: 'dc1:node:n1', activity_types: ['runCommand'] },
        ],
      }),
      'application/json',
      204,
    )
  await beat()
  // At the end the coordinator is gone before this process is.
  setInterval(() => void beat().catch(() => undefined), 5000).unref()

  const input = { command: 'restart', check: { url: 'http://127.0.0.1:8080/' } }
  const order = {
    workflowType: { name: 'bench' },
    taskQueue: { name: 'dc1' },
    input: encodePayloads([input, {}]),
    workflowIdReusePolicy: 'WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'WORKFLOW_ID_CONFLICT_POLICY_FAIL',
    workflowExecutionTimeout: '3600s',
  }
  const trigger = JSON.stringify({ target: { node: 'n1' }, input })
  const way = (name: string, start: () => Promise<void>): Way => ({ name, start, latencies: [], rates: [] })
  return [
    way('direct', () => {
      const id = crypto.randomUUID()
      const url = `http://127.0.0.1:${http}/api/v1/namespaces/default/workflows/${id}`
      return send('POST', url, JSON.stringify({ ...order, requestId: id }), TYPE, 200)
    }),
    way('bare', () => send('POST', `http://127.0.0.1:${bare}/`, JSON.stringify(order), 'application/json', 201)),
    way('resile', () => send('POST', `${base}/v1/workflows/bench/executions`, trigger, 'application/json', 201)),
  ]
}

async function measureLatency(way: Way, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const began = performance.now()
    await way.start()
    way.latencies.push(performance.now() - began)
  }
}

async function measureThroughput(way: Way): Promise<void> {
  const began = performance.now()
  let started = 0
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (performance.now() - began < BURST_MS) {
        await way.start()
        started++
      }
    }),
  )
  way.rates.push((started * 1000) / (performance.now() - began))
}

function report([direct, bare, resile]: [Way, Way, Way]): void {
  for (const { name, latencies, rates } of [direct, bare, resile]) {
    console.log(
      `${name.padEnd(7)} p50 ${median(latencies).toFixed(2)} ms, ${median(rates).toFixed(0)} starts/s with ${IN_FLIGHT} in flight`,
    )
  }
  const ratio = (of: number, to: number): string => (of / to).toFixed(2)
  console.log(`start latency, p50:  resile / direct ${ratio(median(resile.latencies), median(direct.latencies))}`)
  console.log(
    `start latency, p50:  resile / bare   ${ratio(median(resile.latencies), median(bare.latencies))}  (aim: at most 1.15)`,
  )
  console.log(
    `throughput:          resile / direct ${ratio(median(resile.rates), median(direct.rates))}  (aim: at least 0.85)`,
  )
  console.log(`throughput:          resile / bare   ${ratio(median(resile.rates), median(bare.rates))}`)
}

type Send = (method: 'POST' | 'PUT', url: string, body: string, type: string, expected: number) => Promise<void>

async function sendBy(agent: Agent, ...[method, url, body, type, expected]: Parameters<Send>): Promise<void> {
  const response = await request(url, {
    method,
    body,
    headers: { 'content-type': type, accept: type },
    dispatcher: agent,
  })
  const text = await response.body.text()
  if (response.statusCode !== expected)
    throw new Error(`${method} ${url}: ${response.statusCode} ${text.slice(0, 500)}`)
}

function answers(url: string): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    await fetch(url, { signal })
  }
}

function rotated<Item>(items: readonly Item[], by: number): Item[] {
  return items.map((_, index) => items[(index + by) % items.length]).filter((item) => item !== undefined)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

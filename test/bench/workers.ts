/**
 * What an idle worker costs its host, beside a worker of the bare SDK that serves as many queues in the same run; and
 * what 25 workers cost one machine that all serve.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { table } from '../../host-worker/cli/tables.ts'
import type { Supervisor } from '../../host-worker/process/supervisor.ts'
import type { Execution } from '../../shared/wire.ts'
import { childrenOf, type Footprint, footprints } from './footprint.ts'
import { resile, type Site, withSite } from './site.ts'

/** How many workers share one machine. */
const CROWD = 25
/** From the last start until it is quiet, and how long it is then measured, in milliseconds. */
const SETTLE = 12_000
const WINDOW = 20_000
const BARE = join(import.meta.dirname, 'bare-worker.mjs')
const AIM = 1.2
const FILES = {
  'worker.hcl': 'node = "w"\ndatacenter = "dc1"\ncommand "look" {\n  argv = ["/bin/true"]\n  read_only = true\n}\n',
  'workflows/look.hcl': 'task_queue_target = "node"\n',
  'workflows/look.ts': `import { runCommand } from 'resile/workflow'
      export const look = (): Promise<unknown> => runCommand({ name: 'look' })`,
}

/** A worker that runs. */
interface Subject {
  name: string
  pid: number
  /** From the start of its process until it serves, in milliseconds. */
  startedIn: number
}

/** Measures, and prints the tables. */
export async function benchWorkers(): Promise<void> {
  await withSite({ files: FILES, flags: ['--no-workers'] }, async (site, supervisor) => {
    await compare(supervisor, site)
    await crowd(supervisor, site)
  })
}

/** One of each kind, side by side. */
async function compare(supervisor: Supervisor, site: Site): Promise<void> {
  // So that neither fills the caches, nor makes the bundle that all workers of a host take from there.
  await endIt(supervisor, await startWorker(supervisor, site, 'first', ['--workflows']))
  const bundles = join(site.data, 'bundles')
  const bundle = (await readdir(bundles)).find((name) => name.endsWith('.js')) ?? ''
  const subjects = [
    await startBare(supervisor, site, 'bare SDK'),
    await startWorker(supervisor, site, 'resile worker', []),
    await startBare(supervisor, site, 'bare SDK, workflows', join(bundles, bundle)),
    await startWorker(supervisor, site, 'resile worker --workflows', ['--workflows']),
  ] as const
  await sleep(SETTLE)
  const costs = await footprints(
    subjects.map(({ pid }) => pid),
    WINDOW,
  )
  const rows = subjects.map(({ name, startedIn }, index) => [name, ...cells(costs[index]), seconds(startedIn)])
  console.log(`\nan idle worker of three queues, over ${WINDOW / 1000} s`)
  console.log(table(['WORKER', 'RSS MB', 'PSS MB', 'CPU %', 'START'], rows))
  const [bare, own, bareWorkflows, ownWorkflows] = costs.map(({ rss }) => rss)
  console.log(`memory (RSS): resile / bare ${ratio(own, bare)}; with workflows ${ratio(ownWorkflows, bareWorkflows)}`)
  console.log(`              (aims: at most ${AIM}; 125 MB, with workflows 175 MB; 1 % CPU)`)
  for (const subject of subjects) await endIt(supervisor, subject)
}

/** Many on one machine. All have to serve before they are measured. */
async function crowd(supervisor: Supervisor, site: Site): Promise<void> {
  const runner = await startWorker(supervisor, site, 'runner', ['--workflows'])
  const began = performance.now()
  const names = Array.from({ length: CROWD }, (_, index) => `w${index + 1}`)
  const subjects = await Promise.all(names.map((name) => startWorker(supervisor, site, name, [])))
  const startedIn = performance.now() - began
  await Promise.all(names.map((name) => serves(site, name)))
  await sleep(SETTLE)
  const guardians = (await Promise.all(subjects.map(({ pid }) => childrenOf(pid)))).flat()
  const pids = subjects.map(({ pid }) => pid)
  const costs = await footprints([...pids, ...guardians], WINDOW)
  const [own, theirs] = [costs.slice(0, pids.length), costs.slice(pids.length)]
  console.log(
    `\n${CROWD} workers on one machine, each of which has served an execution; all started in ${seconds(startedIn)}`,
  )
  const row = (name: string, all: Footprint[]): string[][] => [
    [`${name}, sum`, ...cells(total(all))],
    [`${name}, largest`, ...cells(largest(all))],
  ]
  const rows = [...row(`${own.length} workers`, own), ...row(`${theirs.length} guardians of commands`, theirs)]
  console.log(table(['', 'RSS MB', 'PSS MB', 'CPU %'], rows))
  await Promise.all([...subjects, runner].map((subject) => endIt(supervisor, subject)))
}

/** Has a node run a command by a real start. Rejects when it didn't. */
async function serves({ client }: Site, node: string): Promise<void> {
  const body = { target: { node } }
  const headers = { prefer: 'wait=30' }
  const { status, text, json } = await client.request('POST', '/v1/workflows/look/executions', { body, headers })
  if (status !== 201) throw new Error(`${node} does not serve: ${status} ${text}`)
  const { id } = (json as { execution: { id: string } }).execution
  for (let tries = 0; tries < 300; tries++) {
    const answer = await client.request('GET', `/v1/executions/${id}`)
    const execution = answer.json as Execution
    if (execution.status === 'completed') return
    if (execution.closed_at !== null) throw new Error(`${node}: ${answer.text}`)
    await sleep(200)
  }
  throw new Error(`${node} does not serve: execution ${id} does not end`)
}

async function startWorker(
  supervisor: Supervisor,
  site: Site,
  name: string,
  more: readonly string[],
): Promise<Subject> {
  const node = name.replaceAll(/[^a-z0-9]+/g, '-')
  const here = ['--project', site.project, '--data', site.data, '--node', node, '--types', 'web']
  const there = ['--coordinator', `unix:${site.socket}`, '--temporal-address', site.temporal]
  return start(supervisor, name, [...resile('worker'), ...here, ...there, ...more], '"event":"worker_started"')
}

async function startBare(supervisor: Supervisor, site: Site, name: string, ...bundle: string[]): Promise<Subject> {
  return start(supervisor, name, [BARE, site.temporal, 'b', ...bundle], 'ready')
}

async function start(supervisor: Supervisor, name: string, args: readonly string[], sign: string): Promise<Subject> {
  const began = performance.now()
  let startedIn = Number.NaN
  await supervisor.start({
    role: 'worker',
    name,
    command: process.execPath,
    args,
    restart: false,
    readyTimeoutMs: 120_000,
    stopGraceMs: 15_000,
    onLine: (line) => {
      if (line.includes(sign)) startedIn = performance.now() - began
    },
    ready: async () => {
      if (Number.isNaN(startedIn)) throw new Error('not yet')
    },
  })
  const pid = supervisor.processes().find((child) => child.name === name)?.pid
  if (pid === undefined) throw new Error(`${name} has ended`)
  return { name, pid, startedIn }
}

async function endIt(supervisor: Supervisor, { name }: Subject): Promise<void> {
  await supervisor.stop(name)
}

function total(costs: readonly Footprint[]): Footprint {
  const sum = (field: keyof Footprint): number => costs.reduce((all, cost) => all + cost[field], 0)
  return { rss: sum('rss'), pss: sum('pss'), cpu: sum('cpu') }
}

function largest(costs: readonly Footprint[]): Footprint {
  const most = (field: keyof Footprint): number => Math.max(0, ...costs.map((cost) => cost[field]))
  return { rss: most('rss'), pss: most('pss'), cpu: most('cpu') }
}

function cells(cost: Footprint | undefined): string[] {
  return cost === undefined ? [] : [cost.rss.toFixed(0), cost.pss.toFixed(0), cost.cpu.toFixed(2)]
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`
}

function ratio(of = Number.NaN, to = Number.NaN): string {
  return (of / to).toFixed(2)
}

/**
 * How long it takes from a signal to the first activity on the host, when the coordinator receives it (an alert comes
 * in), beside the same workflow started at Temporal directly; and what hundreds of detectors cost.
 */
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { table } from '../../host-worker/cli/tables.ts'
import type { Supervisor } from '../../host-worker/process/supervisor.ts'
import { encodePayloads } from '../../shared/payload.ts'
import { footprints } from './footprint.ts'
import { resile, type Site, withSite } from './site.ts'

const WARM_UP = 20
const SIGNALS = 200
const RULES = 500
/** Until all rules have looked, and how long they are then measured, in milliseconds. */
const SETTLE = 20_000
const WINDOW = 60_000
const TYPE = 'application/json+no-payload-shorthand'

const FILES = {
  'worker.hcl': 'node = "w"\ndatacenter = "dc1"\ncommand "look" {\n  argv = ["/bin/true"]\n  read_only = true\n}\n',
  'workflows/look.hcl': 'task_queue_target = "node"\n',
  'workflows/look.ts': `import { runCommand } from 'resile/workflow'
    export const look = (): Promise<unknown> => runCommand({ name: 'look' })`,
}

/** Measures, and prints the tables. */
export async function benchSignals(): Promise<void> {
  await withSite({ files: FILES, flags: ['--node', 'w'] }, async (site, supervisor) => {
    await benchLatency(site)
    await benchRules(site, supervisor)
  })
}

async function benchLatency(site: Site): Promise<void> {
  const [alerts, starts]: [number[], number[]] = [[], []]
  for (let round = 0; round < WARM_UP + SIGNALS; round += 1) {
    const [alert, start] = [await alertToActivity(site, round), await startToActivity(site, round)]
    if (round < WARM_UP) continue
    alerts.push(alert)
    starts.push(start)
  }
  const row = (name: string, times: number[]): string[] => [
    name,
    ms(percentile(times, 0.5)),
    ms(percentile(times, 0.99)),
  ]
  console.log(
    table(
      [`FROM SIGNAL TO FIRST ACTIVITY ON THE HOST, ${SIGNALS} TIMES`, 'P50', 'P99'],
      [row('alert webhook → coordinator → worker', alerts), row('start at Temporal → worker', starts)],
    ),
  )
  const ratio = percentile(alerts, 0.5) / percentile(starts, 0.5)
  console.log(`signal to activity, p50: alert / direct ${ratio.toFixed(2)}`)
}

/** From the alert's way out to the beginning of the activity, by this machine's clock, in milliseconds. */
async function alertToActivity({ client, ...site }: Site, round: number): Promise<number> {
  const at = new Date().toISOString()
  const labels = { alertname: 'Bench', remediation: 'look', node: 'w', round: String(round) }
  const alert = {
    status: 'firing',
    labels,
    annotations: {},
    startsAt: at,
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: '',
    fingerprint: `f${round}`,
  }
  const began = Date.now()
  const { status, json, text } = await client.request('POST', '/v1/triggers/alertmanager', {
    body: {
      version: '4',
      groupKey: `{}:{round="${round}"}`,
      truncatedAlerts: 0,
      status: 'firing',
      receiver: 'resile',
      groupLabels: {},
      commonLabels: {},
      commonAnnotations: {},
      externalURL: '',
      alerts: [alert],
    },
  })
  const id = (json as { items?: { execution?: string }[] } | null)?.items?.[0]?.execution
  if (status !== 200 || id === undefined || id === null) throw new Error(`the alert was not taken: ${status} ${text}`)
  return (await firstActivity(site, id)) - began
}

async function startToActivity(site: Pick<Site, 'temporalHttp'>, round: number): Promise<number> {
  const id = `direct-${round}-${Date.now()}`
  const began = Date.now()
  const answer = await fetch(`${site.temporalHttp}/api/v1/namespaces/default/workflows/${id}`, {
    method: 'POST',
    headers: { 'content-type': TYPE, accept: TYPE },
    body: JSON.stringify({
      workflowType: { name: 'look' },
      taskQueue: { name: 'dc1' },
      input: encodePayloads([{}, { execution_id: id, workflow: 'look', datacenter: 'dc1', target: { node: 'w' } }]),
      requestId: id,
    }),
  })
  if (!answer.ok) throw new Error(`not started: ${answer.status} ${await answer.text()}`)
  return (await firstActivity(site, id)) - began
}

/** When the first activity of a run was taken by a worker, in milliseconds since the epoch. */
async function firstActivity({ temporalHttp }: Pick<Site, 'temporalHttp'>, id: string): Promise<number> {
  for (;;) {
    const answer = await fetch(`${temporalHttp}/api/v1/namespaces/default/workflows/${id}/history`, {
      headers: { accept: TYPE },
    })
    const { history } = (await answer.json()) as { history?: { events?: { eventType: string; eventTime: string }[] } }
    const events = history?.events ?? []
    // History shows that an activity began once it has ended.
    const started = events.find(({ eventType }) => eventType === 'EVENT_TYPE_ACTIVITY_TASK_STARTED')
    if (started !== undefined) return Date.parse(started.eventTime)
    if (events.some(({ eventType }) => eventType === 'EVENT_TYPE_WORKFLOW_EXECUTION_FAILED')) {
      throw new Error(`${id} has failed: ${JSON.stringify(events.at(-1))}`)
    }
    await sleep(5)
  }
}

async function benchRules(site: Site, supervisor: Supervisor): Promise<void> {
  const server = createServer((request, response) => {
    request.resume()
    asked += 1
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end('{"status":"success","data":{"resultType":"vector","result":[]}}')
  })
  let asked = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const rule = (index: number): string => `detector "rule-${index}" {
  workflow = "look"
  interval = "15s"
  target { node = "\${labels.node}" }
  prometheus {
    url   = "${url}"
    query = "up{job=\\"job-${index}\\"} == 0"
  }
}
`
    const rules = Array.from({ length: RULES }, (_, index) => rule(index)).join('')
    const child = await startDetector(site, supervisor, rules)
    await sleep(SETTLE)
    const before = asked
    const [cost] = await footprints([child], WINDOW)
    if (cost === undefined) throw new Error('nothing was measured')
    const seconds = (cost.cpu / 100) * (WINDOW / 1000)
    console.log(
      `${RULES} rules at 15 s: ${seconds.toFixed(2)} s of processor time in ${WINDOW / 1000} s (${cost.cpu.toFixed(1)} % of a core), ${cost.rss.toFixed(0)} MB, ${asked - before} looks`,
    )
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** Starts a detector daemon with these rules. @returns its pid */
async function startDetector(site: Site, supervisor: Supervisor, rules: string): Promise<number> {
  await writeFile(join(site.project, 'detectors.hcl'), rules)
  let runs = false
  await supervisor.start({
    role: 'detector',
    name: 'detector',
    command: process.execPath,
    args: [
      ...resile('detector'),
      '--project',
      site.project,
      '--data',
      join(site.data, 'rules'),
      '--coordinator',
      `unix:${site.socket}`,
    ],
    restart: false,
    readyTimeoutMs: 60_000,
    onLine: (line) => {
      runs ||= line.includes('"event":"detectors_started"')
    },
    ready: async () => {
      if (!runs) throw new Error('not yet')
    },
  })
  const child = supervisor.processes().find(({ role }) => role === 'detector')
  if (child === undefined) throw new Error('the detector does not run')
  return child.pid
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`
}

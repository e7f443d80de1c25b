/** Each example of docs/how-to/examples.md is a project that fits together, and its queries fire for what is sick only. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadProject } from '../../host-worker/config/project.ts'
import type { DetectorConfig } from '../../shared/config.ts'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { repository, temporaryDirectory } from '../support/files.ts'
import { run } from '../support/processes.ts'

const page = readFileSync(join(repository, 'docs/how-to/examples.md'), 'utf8')
const sections = page.split(/^## /m).slice(1)
const examples = Object.fromEntries(sections.map((text) => [text.slice(0, text.indexOf('\n')), text]))

/** For each detector with a query: series of a sick and of a well node (or server), and which of them has to fire. */
const SERIES: Record<string, { by: string; fires: string[]; at: string; series: Record<string, string> }> = {
  'errant-server': {
    at: '10m',
    by: 'server',
    fires: ['sick'],
    series: {
      'haproxy_server_http_responses_total{proxy="web",server="sick",code="5xx"}': '0+200x20',
      'haproxy_server_http_responses_total{proxy="web",server="sick",code="2xx"}': '0+200x20',
      'haproxy_server_http_responses_total{proxy="web",server="well",code="5xx"}': '0+2x20',
      'haproxy_server_http_responses_total{proxy="web",server="well",code="2xx"}': '0+400x20',
      'haproxy_server_http_responses_total{proxy="web",server="quiet",code="5xx"}': '0+2x20',
      'haproxy_server_http_responses_total{proxy="web",server="quiet",code="2xx"}': '0+2x20',
      'haproxy_server_http_responses_total{proxy="other",server="elsewhere",code="5xx"}': '0+900x20',
    },
  },
  'disk-fills': {
    at: '70m',
    by: 'node',
    fires: ['fills'],
    series: {
      'node_filesystem_avail_bytes{node="fills",mountpoint="/var"}': '240-2x70',
      'node_filesystem_size_bytes{node="fills",mountpoint="/var"}': '1000x70',
      'node_filesystem_avail_bytes{node="full-for-years",mountpoint="/var"}': '50x70',
      'node_filesystem_size_bytes{node="full-for-years",mountpoint="/var"}': '1000x70',
      'node_filesystem_avail_bytes{node="roomy",mountpoint="/var"}': '900-2x70',
      'node_filesystem_size_bytes{node="roomy",mountpoint="/var"}': '1000x70',
      'node_filesystem_avail_bytes{node="fills",mountpoint="/home"}': '240-2x70',
      'node_filesystem_size_bytes{node="fills",mountpoint="/home"}': '1000x70',
    },
  },
  'clock-skew': {
    at: '5m',
    by: 'node',
    fires: ['behind', 'ahead', 'unsynchronised'],
    series: {
      'node_timex_offset_seconds{node="behind"}': '-0.5x10',
      'node_timex_offset_seconds{node="ahead"}': '0.3x10',
      'node_timex_offset_seconds{node="well"}': '0.001x10',
      'node_timex_sync_status{node="well"}': '1x10',
      'node_timex_sync_status{node="unsynchronised"}': '0x10',
    },
  },
  'cpu-pressure': {
    at: '10m',
    by: 'node',
    fires: ['noisy'],
    series: {
      'node_pressure_cpu_waiting_seconds_total{node="noisy"}': '0+50x20',
      'node_pressure_cpu_waiting_seconds_total{node="well"}': '0+5x20',
    },
  },
  'run-queue': {
    at: '10m',
    by: 'node',
    fires: ['noisy'],
    series: {
      'node_schedstat_waiting_seconds_total{node="noisy",cpu="0"}': '0+90x20',
      'node_schedstat_running_seconds_total{node="noisy",cpu="0"}': '0+60x20',
      'node_schedstat_waiting_seconds_total{node="well",cpu="0"}': '0+3x20',
      'node_schedstat_running_seconds_total{node="well",cpu="0"}': '0+50x20',
      'node_schedstat_waiting_seconds_total{node="has-pressure",cpu="0"}': '0+90x20',
      'node_schedstat_running_seconds_total{node="has-pressure",cpu="0"}': '0+60x20',
      'node_pressure_cpu_waiting_seconds_total{node="has-pressure"}': '0+50x20',
    },
  },
}

test('examples page: projects → six', () => {
  expect(Object.keys(examples)).toEqual([
    'Errant server',
    'Stuck service',
    'Disk filling',
    'Clock skew',
    'Out-of-memory kills',
    'Noisy neighbour',
  ])
})

describe.each(Object.entries(examples))('%s', (_, text) => {
  test('resile check → in order', async () => {
    const { errors, warnings, project } = await load(text)
    expect([...errors, ...warnings]).toEqual([])
    expect(Object.keys(project?.detectors ?? {})).not.toEqual([])
  })

  test.skipIf(lacks('prometheus'))(
    `${titled('promtool test → queries fire for what is sick alone', 'prometheus')}`,
    async () => {
      const { project } = await load(text)
      const said: string[] = []
      for (const [name, { prometheus }] of Object.entries<DetectorConfig>(project?.detectors ?? {})) {
        if (prometheus !== undefined) said.push(await evaluate(name, prometheus.query))
      }
      expect(said.filter((one) => !one.includes('SUCCESS'))).toEqual([])
    },
  )
})

/** Has Prometheus' own engine evaluate a query over made-up series, one sample a minute. @returns what it says */
async function evaluate(name: string, query: string): Promise<string> {
  const prepared = SERIES[name]
  if (prepared === undefined) throw new Error(`no series were prepared for ${name}`)
  const { by, fires, at, series } = prepared
  const directory = temporaryDirectory()
  const tests = {
    interval: '1m',
    input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
    promql_expr_test: [
      {
        expr: `group by (${by}) (${query})`,
        eval_time: at,
        exp_samples: fires.map((value) => ({ labels: `{${by}="${value}"}`, value: 1 })),
      },
    ],
  }
  const file = join(directory, 'tests.yml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ rule_files: [], evaluation_interval: '1m', tests: [tests] }))
  const { stdout, stderr } = await run('promtool', ['test', 'rules', file]).ended
  return `${stdout}${stderr}`
}

/** Writes an example's files; a workflow's HCL is the library's, with what the example adds to it. */
async function load(text: string): ReturnType<typeof loadProject> {
  const directory = temporaryDirectory()
  const write = (name: string, content: string): void => {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), content, { flag: 'a' })
  }
  write('coordinator.hcl', 'datacenter = "dc1"\n')
  const [, library = ''] = /^Library: `([^`]+)`/m.exec(text) ?? []
  mkdirSync(join(directory, 'workflows'))
  copyFileSync(join(repository, 'workflows', library), join(directory, 'workflows', library))
  for (const [, block = ''] of text.matchAll(/^```hcl\n([\s\S]*?)^```/gm)) {
    const [, name = ''] = /^# (\S+)/.exec(block) ?? []
    write(name, block)
  }
  return loadProject(directory, { development: true })
}

/** A real Prometheus of a test's own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './files.ts'
import { freePort } from './ports.ts'
import { run } from './processes.ts'
import { until } from './until.ts'

/** Its URL, and queries to it. */
export interface Prometheus {
  readonly url: string
  /** The values of a query's series. */
  query(text: string): Promise<string[]>
}

/** Its configuration besides the scrape targets. */
export interface Alerting {
  /** Base URL of an Alertmanager. */
  alertmanager: string
  /** As in a rule file. */
  rules: readonly object[]
}

/** Scrapes each target every second, with the node as a label; waits until it is ready. */
export async function startPrometheus(
  jobs: Record<string, { target: string; node: string }>,
  wantedPort?: number,
  alerting?: Alerting,
): Promise<Prometheus> {
  const port = wantedPort ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const directory = temporaryDirectory()
  const configFile = join(directory, 'prometheus.yml')
  const scrapes = Object.entries(jobs).map(([name, { target, node }]) => ({
    job_name: name,
    static_configs: [{ targets: [target], labels: { node } }],
  }))
  const rulesFile = join(directory, 'rules.yml')
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    scrape_configs: scrapes,
    ...(alerting === undefined
      ? {}
      : {
          rule_files: [rulesFile],
          alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alerting.alertmanager).host] }] }] },
        }),
  }
  // JSON is YAML.
  if (alerting !== undefined) {
    writeFileSync(rulesFile, JSON.stringify({ groups: [{ name: 'test', rules: alerting.rules }] }))
  }
  writeFileSync(configFile, JSON.stringify(config))
  const flags = [`--config.file=${configFile}`, `--storage.tsdb.path=${join(directory, 'data')}`]
  run('prometheus', [...flags, `--web.listen-address=127.0.0.1:${port}`])
  await until('Prometheus is ready', async () => (await fetch(`${url}/-/ready`)).ok)
  return {
    url,
    async query(text) {
      const answer = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: text })}`)
      const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } }
      return data.result.map(({ value }) => value[1])
    },
  }
}

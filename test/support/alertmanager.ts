/** A real Alertmanager of a test's own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './files.ts'
import { freePort } from './ports.ts'
import { run } from './processes.ts'
import { until } from './until.ts'

/** Starts one and waits until it is ready. @returns its base URL */
export async function startAlertmanager(config: object, wantedPort?: number): Promise<string> {
  const port = wantedPort ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const directory = temporaryDirectory()
  const configFile = join(directory, 'alertmanager.yml')
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(config))
  run('prometheus-alertmanager', [
    `--config.file=${configFile}`,
    `--storage.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
  ])
  await until('Alertmanager is ready', async () => (await fetch(`${url}/-/ready`)).ok)
  return url
}

/** The sum of one of its counters, over all labels. */
export async function counterOf(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

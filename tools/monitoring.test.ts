import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { COORDINATOR_METRICS } from '../edge/api/metric-catalogue.ts'
import { DETECTOR_METRICS } from '../host-worker/detector/metrics.ts'
import { WORKER_METRICS } from '../host-worker/worker/metrics.ts'
import type { MetricCatalogue } from '../shared/metric.ts'
import { lacks, titled } from './debian-packages.ts'

const run = promisify(execFile)
const directory = join(import.meta.dirname, '..', 'monitoring')
const rules = readFileSync(join(directory, 'resile.rules.yml'), 'utf8')
const catalogues: MetricCatalogue[] = [COORDINATOR_METRICS, WORKER_METRICS, DETECTOR_METRICS]

test('rules: each metric → one that Resile has', () => {
  const known = new Set(catalogues.flatMap((catalogue) => Object.values(catalogue).map(({ name }) => name)))
  const used = [...rules.matchAll(/(?<![\w:])resile_[a-z_]+(?!\w*:)/g)].map(([name]) => name)
  expect(used.length).toBeGreaterThan(15)
  expect(used.filter((name) => !known.has(name))).toEqual([])
})

test('rules: each alert → a summary that names what is wrong, and a severity', () => {
  const alerts = rules.split('- alert: ').slice(1)
  for (const alert of alerts) {
    expect(alert).toMatch(/labels: \{severity: (?:critical|warning|info)\}/)
    expect(alert).toMatch(/summary: ".{20,}"/)
  }
})

test.skipIf(lacks('prometheus'))(
  `${titled('rules: promtool → right, and fire when they should', 'prometheus')}`,
  async () => {
    const check = await run('promtool', ['check', 'rules', join(directory, 'resile.rules.yml')])
    expect(check.stdout).toContain('SUCCESS')
    const tests = await run('promtool', ['test', 'rules', join(directory, 'resile.rules.test.yml')])
    expect(tests.stdout).toContain('SUCCESS')
  },
)

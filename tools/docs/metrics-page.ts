/** docs/reference/metrics.md, from the catalogues that the metrics are created from. */
import { COORDINATOR_METRICS } from '../../edge/api/metric-catalogue.ts'
import { DETECTOR_METRICS } from '../../host-worker/detector/metrics.ts'
import { PROCESS_METRICS } from '../../host-worker/net/process-metrics.ts'
import { WORKER_METRICS } from '../../host-worker/worker/metrics.ts'
import type { MetricCatalogue } from '../../shared/metric.ts'
import { GENERATED, wrap } from './text.ts'

const SECTIONS: readonly (readonly [title: string, text: string, metrics: MetricCatalogue])[] = [
  [
    'Coordinator',
    'Served at `GET /metrics` of the coordinator. Counters are stored in the ledgers and survive restarts, except ' +
      'those on requests and signals, which count since the start of the process.',
    COORDINATOR_METRICS,
  ],
  [
    'Worker',
    'Served at `/metrics` of the address in `metrics { listen }` of worker.hcl, or `--metrics`.',
    { ...WORKER_METRICS, ...PROCESS_METRICS },
  ],
  ['Detector', 'Served at `/metrics` of the address in `--metrics`.', { ...DETECTOR_METRICS, ...PROCESS_METRICS }],
]

export function metricsPage(): string {
  return [
    GENERATED,
    '',
    '# Metrics',
    '',
    'All metrics are Prometheus text.',
    ...SECTIONS.flatMap(([title, text, metrics]) => ['', `## ${title}`, '', wrap(text), '', ...list(metrics)]),
    '',
  ].join('\n')
}

function list(metrics: MetricCatalogue): string[] {
  return Object.values(metrics).map(({ name, type, help, labelNames }) => {
    const labels = labelNames.length === 0 ? '' : `{${labelNames.join(', ')}}`
    return wrap(`- \`${name}${labels}\` (${type}): ${help}.`, '  ')
  })
}

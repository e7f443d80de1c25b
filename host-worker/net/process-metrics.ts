/** What every Node process of Resile reports about itself, by the usual names of Prometheus' client libraries. */
import { Counter, Gauge, type Registry } from '@prometheus-io/client'
import type { MetricCatalogue } from '../../shared/metric.ts'
import { ownVersion } from '../process/version.ts'

/** The metrics of a process. */
export const PROCESS_METRICS = {
  build: {
    name: 'resile_build_info',
    type: 'gauge',
    help: 'Always 1; the version of Resile',
    labelNames: ['version'],
  },
  memory: { name: 'process_resident_memory_bytes', type: 'gauge', help: 'Resident memory', labelNames: [] },
  start: {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'When the process started, in seconds since the epoch',
    labelNames: [],
  },
  cpu: { name: 'process_cpu_seconds_total', type: 'counter', help: 'User and system CPU time', labelNames: [] },
} as const satisfies MetricCatalogue

/** Adds the version, memory, start time and processor time of this process. */
export function addProcessMetrics(registry: Registry): void {
  const { build, memory, start, cpu } = PROCESS_METRICS
  new Gauge({ ...build, registers: [registry] }).set({ version: ownVersion() }, 1)
  addReading(registry, memory.name, memory.help, () => process.memoryUsage.rss())
  addReading(registry, start.name, start.help, () => performance.timeOrigin / 1000)
  new Counter({
    name: cpu.name,
    help: cpu.help,
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1_000_000)
    },
  })
}

/** A gauge whose value is found when it is asked for. */
export function addReading(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value())
    },
  })
}

/** The metrics of every process, with the names of Prometheus' client libraries. */
import { Counter, Gauge, type Registry } from '@prometheus-io/client'

/** Adds memory, start time and processor time of this process. */
export function addProcessMetrics(registry: Registry): void {
  addReading(registry, 'process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss())
  addReading(registry, 'process_start_time_seconds', 'When the process started', () => performance.timeOrigin / 1000)
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time, of the user and of the system',
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

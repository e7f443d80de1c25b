import type { detectorsSchema } from '../../shared/config.ts'
import { cronProblem } from './cron.ts'
import { type Diagnostic, problem } from './hcl/diagnostic.ts'
import type { LoadedFile } from './load-file.ts'

/** Errors in the schedules of detectors that a schema can't find. */
export function scheduleErrors({ file, content, places }: LoadedFile<typeof detectorsSchema>): Diagnostic[] {
  return Object.entries(content?.output.detector ?? {}).flatMap(([name, { schedule }]) => {
    const wrong = schedule === undefined ? null : cronProblem(schedule.cron, schedule.time_zone)
    if (wrong === null) return []
    const path = ['detector', name, 'schedule', 'cron']
    return [{ file, ...problem(places.value(path), path, wrong) }]
  })
}

import type { DetectorConfig } from '../../../shared/config.ts'
import { watchCommand } from './command-check.ts'
import { watchHttp } from './http-check.ts'
import { followJournal } from './journal/follow-journal.ts'
import { followLog } from './log/follow-log.ts'
import { watchPrometheus } from './prometheus.ts'
import { watchSchedule } from './schedule.ts'
import type { Source } from './source.ts'
import { watchTcp } from './tcp-check.ts'

/**
 * Opens the source of a detector.
 *
 * @param directory of the project, to which paths are relative
 * @param state     what an earlier one's `state()` was; null when there was none
 * @throws Error for a source that a detector daemon doesn't watch
 */
export function openSource(detector: DetectorConfig, directory: string, state: unknown): Source {
  const { http_check, tcp_check, command_check, prometheus, schedule, log, journal } = detector
  if (prometheus !== undefined) return watchPrometheus(prometheus, directory)
  if (http_check !== undefined) return watchHttp(http_check)
  if (tcp_check !== undefined) return watchTcp(tcp_check)
  if (command_check !== undefined) return watchCommand(command_check, directory)
  if (schedule !== undefined) return watchSchedule(schedule, state)
  if (log !== undefined) return followLog(log, state, detector.interval)
  if (journal !== undefined) return followJournal(journal, state)
  throw new Error('the detector has no source that is watched here')
}

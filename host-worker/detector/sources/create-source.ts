import { type PushedSourceKind, SOURCES, type SourceKind } from '../../../shared/config/detectors.ts'
import type { DetectorConfig } from '../../../shared/config.ts'
import { watchCommand } from './command-check.ts'
import { watchHttp } from './http-check.ts'
import { followJournal } from './journal/follow-journal.ts'
import { followLog } from './log/follow-log.ts'
import { watchPrometheus } from './prometheus.ts'
import { watchSchedule } from './schedule.ts'
import type { Source } from './source.ts'
import { watchTcp } from './tcp-check.ts'

/** What a source may need besides its own block. */
interface Context {
  /** The project, to which paths are relative. */
  directory: string
  /** What an earlier one's `state()` was; null when there was none. */
  state: unknown
  /** How often it is polled, in milliseconds. */
  interval: number
}

type Create<Kind extends SourceKind> = (config: NonNullable<DetectorConfig[Kind]>, context: Context) => Source

/** Every source that a detector daemon watches; those that are pushed go to the coordinator. */
const CREATE: { readonly [Kind in Exclude<SourceKind, PushedSourceKind>]: Create<Kind> } = {
  prometheus: (config, { directory }) => watchPrometheus(config, directory),
  http_check: (config, { directory }) => watchHttp(config, directory),
  tcp_check: (config) => watchTcp(config),
  command_check: (config, { directory }) => watchCommand(config, directory),
  schedule: (config, { state }) => watchSchedule(config, state),
  log: (config, { state, interval }) => followLog(config, state, interval),
  journal: (config, { state }) => followJournal(config, state),
}

/**
 * Creates the source of a detector.
 *
 * @param directory of the project, to which paths are relative
 * @param state     what an earlier one's `state()` was; null when there was none
 * @throws Error for a source that a detector daemon doesn't watch
 */
export function createSource(detector: DetectorConfig, directory: string, state: unknown): Source {
  const context = { directory, state, interval: detector.interval }
  for (const kind of SOURCES) {
    const source = kind in CREATE ? created(kind as keyof typeof CREATE, detector, context) : null
    if (source !== null) return source
  }
  throw new Error('the detector has no source that is watched here')
}

function created<Kind extends keyof typeof CREATE>(
  kind: Kind,
  detector: DetectorConfig,
  context: Context,
): Source | null {
  const config = detector[kind]
  const create: Create<Kind> = CREATE[kind]
  return config === undefined ? null : create(config, context)
}

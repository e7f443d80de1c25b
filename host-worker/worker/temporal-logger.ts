import { DefaultLogger, type Logger } from '@temporalio/worker'
import { log } from '../../shared/log.ts'

/** The SDK's warning about each queue that is served for activities only, which is intended. */
const EXPECTED = 'No workflows registered, not polling for workflow tasks'

/** A logger for Temporal's SDK that writes warnings and errors as structured log lines. */
export function temporalLogger(): Logger {
  return new DefaultLogger('WARN', ({ level, message, meta }) => {
    if (message === EXPECTED) return
    const detail = meta?.error instanceof Error ? meta.error.message : undefined
    log(level === 'ERROR' ? 'error' : 'warn', 'temporal_sdk', { message, ...(detail === undefined ? {} : { detail }) })
  })
}

/** A logger that hands on errors only. */
export function quietLogger(onError: (line: string) => void): Logger {
  return new DefaultLogger('ERROR', ({ message }) => onError(message))
}

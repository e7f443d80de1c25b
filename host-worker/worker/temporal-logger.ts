import { DefaultLogger, type Logger } from '@temporalio/worker'
import { log } from '../../shared/log.ts'
import { truncate } from '../../shared/truncate.ts'

/** The SDK's warning about each queue that is served for activities only, which is intended. */
const EXPECTED = 'No workflows registered, not polling for workflow tasks'
/** Length of a message that is logged, in characters: the SDK puts whole results into some, and repeats them. */
const MAX_MESSAGE_LENGTH = 2000

/** A logger for Temporal's SDK that writes warnings and errors as structured log lines. */
export function temporalLogger(): Logger {
  return new DefaultLogger('WARN', ({ level, message, meta }) => {
    if (message === EXPECTED) return
    const { error, workflowId } = (meta ?? {}) as { error?: unknown; workflowId?: unknown }
    log(level === 'ERROR' ? 'error' : 'warn', 'temporal_sdk', {
      message: truncate(message, MAX_MESSAGE_LENGTH),
      ...(error instanceof Error ? { detail: truncate(error.message, MAX_MESSAGE_LENGTH) } : {}),
      ...(typeof workflowId === 'string' ? { execution: workflowId } : {}),
    })
  })
}

/** A logger that hands on errors only. */
export function quietLogger(onError: (line: string) => void): Logger {
  return new DefaultLogger('ERROR', ({ message }) => onError(message))
}

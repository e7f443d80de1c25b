/** A separate process that runs one command to its end, whatever happens to the worker that ordered it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { ProcessOrder } from '../../process/run-process.ts'

/** The process's instructions, as JSON on its standard input. */
export interface RunnerOrder {
  /** Directory of the journal. */
  journal: string
  /** The change that it claims. */
  key: string
  command: Omit<ProcessOrder, 'signal'>
  /** Milliseconds that the command may take. */
  timeout: number
  /** Whether the change has ended with the command, or goes on after it. */
  ends: boolean
}

/**
 * Starts it. It claims the change before it runs the command: of two that are started for one change, one does nothing.
 * SIGTERM ends the command, and that is written down too.
 */
export function startRunner(order: RunnerOrder): ChildProcess {
  const runner = spawn(process.execPath, [join(import.meta.dirname, 'runner-main.ts')], {
    // In a separate session: what ends the worker doesn't reach it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  runner.unref()
  runner.on('error', () => undefined)
  runner.stdin.on('error', () => undefined)
  runner.stdin.end(JSON.stringify(order))
  return runner
}

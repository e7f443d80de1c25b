import type { DetectorConfig } from '../../../shared/config.ts'
import { messageOf } from '../../../shared/log.ts'
import { commandPath } from '../../process/command-path.ts'
import { runProcess } from '../../process/run-process.ts'
import { printable } from './matching/printable.ts'
import { fingerprintOf, type Observation } from './observation.ts'
import type { Source } from './source.ts'

/** Bytes of a check's output that are read. */
const MAX_OUTPUT_BYTES = 64 * 1024
/** Characters of its first line that are reported. */
const MAX_SUMMARY_LENGTH = 300
const KILL_GRACE_MS = 2000
/** The exit status of a monitoring plugin for "unknown". @see https://www.monitoring-plugins.org/doc/guidelines.html */
const EXIT_UNKNOWN = 3
/** A shell's word for a program that can't be run, or isn't there. */
const NOT_RUN = new Set([126, 127])

/**
 * Fires while a program exits with neither 0 nor a code that means "don't know": 3, as monitoring plugins have it, what
 * shells exit with when a program can't be run, and the end by a signal. The value is the exit code.
 *
 * @param directory in which it is run
 */
export function watchCommand(
  { argv, timeout }: NonNullable<DetectorConfig['command_check']>,
  directory: string,
): Source {
  const fingerprint = fingerprintOf({ argv: JSON.stringify(argv) })
  const env = { PATH: commandPath() ?? '', HOME: process.env.HOME ?? '' }
  return {
    async observe(): Promise<Observation> {
      try {
        const signal = AbortSignal.timeout(timeout)
        const order = {
          argv,
          directory,
          env,
          outputCap: MAX_OUTPUT_BYTES,
          signal,
          killGrace: KILL_GRACE_MS,
          leavesNothing: true,
        }
        const { output, killed } = await runProcess(order)
        // When all of its output is there by then, it was killed only for what it had left behind.
        if (killed && signal.aborted) return { unknown: `${argv[0]} took longer than ${timeout} ms` }
        const { exitCode } = output
        if (exitCode === 0) return { firing: [] }
        const said = firstLine(output.stdout) || firstLine(output.stderr)
        const summary = `${argv[0]} exits with ${exitCode}${said === '' ? '' : `: ${said}`}`
        if (exitCode === EXIT_UNKNOWN || NOT_RUN.has(exitCode) || exitCode > 128) return { unknown: summary }
        return { firing: [{ fingerprint, labels: {}, annotations: {}, value: String(exitCode), summary }] }
      } catch (error) {
        return { unknown: `${argv[0]} can't be run: ${messageOf(error)}` }
      }
    },
  }
}

function firstLine(output: string): string {
  return printable(output.trimStart().split('\n', 1)[0]?.trimEnd() ?? '', MAX_SUMMARY_LENGTH)
}

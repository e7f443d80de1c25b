/** `node host-worker/dev/temporal-cli/cli-main.ts [--quiet]`: sees to it that there is a Temporal CLI, and prints its path. */
import { endWithParent } from '../../process/parent-watch.ts'
import { findTemporalCli, TemporalCliNotFound } from './cli.ts'

endWithParent()
const stop = new AbortController()
for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
  process.once(signal, () => {
    process.exitCode = code
    stop.abort()
  })
}
try {
  const { path } = await findTemporalCli({ log: (line) => console.error(`temporal: ${line}`), signal: stop.signal })
  if (!process.argv.includes('--quiet')) console.log(path)
} catch (error) {
  if (!stop.signal.aborted) {
    if (!(error instanceof TemporalCliNotFound)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}

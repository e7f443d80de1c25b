/** The `resile` command. */
import { CommanderError } from '@commander-js/extra-typings'
import { messageOf } from '../../shared/log.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { endWithParent } from '../process/parent-watch.ts'
import { program } from './program.ts'

endWithParent()
process.exitCode = await run(process.argv.slice(2))

async function run(args: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(args, { from: 'user' })
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok
  } catch (error) {
    // Commander has printed its own message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    console.error(
      `resile: ${error instanceof CommandError ? error.message : `unexpected error: ${(error as Error)?.stack ?? messageOf(error)}`}`,
    )
    return error instanceof CommandError ? error.exitCode : EXIT.failed
  }
}

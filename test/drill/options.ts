import { randomInt } from 'node:crypto'
import { Command, CommanderError, InvalidArgumentError, Option } from '@commander-js/extra-typings'

/** The options of a drill. */
export interface DrillOptions {
  rounds: number
  seed: number
  datacenters: number
  json: boolean
  contrast: boolean
}

/** Reads the command line; a number is the exit code with which there is nothing more to do. */
export function readOptions(args: readonly string[]): DrillOptions | number {
  const command = new Command('npm run drill --')
    .description(
      'Fault drill: sends triggers while Temporal, coordinator, workers and the line between them fail, and judges by\n' +
        "Temporal's own histories whether every limit held and every promise was kept.",
    )
    .addOption(new Option('--rounds <n>', 'how many rounds').argParser(numberFrom(1, 10_000)).default(10))
    .addOption(
      new Option('--seed <n>', 'what faults and triggers are drawn from; the same gives the same plan')
        .argParser(numberFrom(0, 2 ** 32 - 1))
        .default(randomInt(1, 1_000_000), 'random'),
    )
    .addOption(new Option('--datacenters <n>', 'how many').argParser(numberFrom(1, 4)).default(2))
    .option('--json', 'print one JSON object at the end; lines for people go to stderr', false)
    .option('--no-contrast', "leave out the race against admission by Temporal's Visibility")
    .helpOption('-h, --help', 'print help')
    .addHelpText('after', '\nExit codes: 0 all held, 1 something did not, 2 usage, 130 Ctrl-C')
    .exitOverride()
  try {
    return command.parse(args, { from: 'user' }).opts()
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
}

function numberFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`a whole number from ${least} to ${most} is wanted.`)
  }
}

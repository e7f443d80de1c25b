/** One call to the coordinator, printed, and turned into an exit code. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from '@commander-js/extra-typings'
import type { Problem } from '../../shared/wire.ts'
import { type CoordinatorAnswer, CoordinatorClient, CoordinatorUnreachable } from '../net/coordinator-client.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { type CoordinatorOptions, coordinatorAddress, PLAINTEXT } from './coordinator-address.ts'
import { exitOnInterrupt } from './interrupt.ts'
import { problemDetails } from './tables.ts'

/** Options that every client command has. */
export interface ClientOptions extends CoordinatorOptions {
  json: boolean
}

/** How long a coordinator that has just started is waited for, in milliseconds: its nodes report within 15 s. */
const START_TIMEOUT_MS = 30_000
const START_POLL_MS = 1000

/**
 * Sends one request, and again while the coordinator answers that it is starting: it has done nothing then.
 *
 * @throws CommandError `unreachable`
 */
export async function call(
  options: ClientOptions,
  method: string,
  path: string,
  request: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<CoordinatorAnswer> {
  const client = new CoordinatorClient(await coordinatorAddress(options))
  try {
    const deadline = performance.now() + START_TIMEOUT_MS
    for (let isFirst = true; ; isFirst = false) {
      const answer = await client.request(method, path, request)
      const { code, detail } = (answer.json ?? {}) as Partial<Problem>
      if (answer.status !== 503 || code !== 'starting' || performance.now() > deadline) return answer
      if (isFirst) console.error(`waiting for the coordinator, which is starting: ${detail}`)
      await sleep(START_POLL_MS)
    }
  } catch (error) {
    if (error instanceof CoordinatorUnreachable) throw new CommandError(error.message, EXIT.unreachable)
    throw error
  } finally {
    client.close()
  }
}

/** Prints an answer, as JSON when asked, and sets the exit code that belongs to it. */
export function report(options: ClientOptions, answer: CoordinatorAnswer, show: (body: unknown) => string): void {
  const good = answer.status < 300
  if (options.json)
    process.stdout.write(answer.text === '' || answer.text.endsWith('\n') ? answer.text : `${answer.text}\n`)
  else if (good) console.log(show(answer.json).trimEnd())
  if (good) return
  if (!options.json) console.error(problemDetails(answer.status, answer.json as Problem | null))
  process.exitCode = answer.status === 423 || answer.status === 429 ? EXIT.denied : EXIT.failed
}

/** A verb that talks to a coordinator, with the options that all of them have. */
export function clientVerb<Usage extends string>(root: Command, usage: Usage, description: string) {
  return root
    .command(usage)
    .description(description)
    .option(
      '--coordinator <url>',
      'URL of the coordinator, or unix:PATH (default: $RESILE_COORDINATOR, else the local one)',
    )
    .option('--ca <file>', 'CA certificates to verify an https:// coordinator with (default: $RESILE_CA)')
    .option('--cert <file>', 'client certificate to call it with (default: $RESILE_CERT)')
    .option('--key <file>', "the certificate's key (default: $RESILE_KEY)")
    .option('--plaintext', PLAINTEXT)
    .option('--project <dir>', 'the project whose local coordinator is meant', '.')
    .option('--data <dir>', "that coordinator's state (default: .resile in the project)")
    .option('--json', 'print the HTTP body as it is', false)
    .hook('preAction', exitOnInterrupt)
}

/** The query string of those options that were given. */
export function queryOf<Options extends Partial<ClientOptions>>(
  options: Options,
  names: readonly (keyof Options & string)[],
): string {
  const pairs = names.flatMap((name): [string, string][] => {
    const value = options[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  return `?${new URLSearchParams(pairs)}`
}

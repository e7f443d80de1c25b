/** Tests a revision of an allow-listed repository on this host, in a directory that is thrown away. */
import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { RE2JS } from 're2js'
import type { RepositoryConfig } from '../../../../shared/config.ts'
import type { CommandResult, TestRevisionReport, TestRevisionRequest } from '../../../../workflows/sdk/activities.ts'
import { carryOut, unknownOutcome, unwrap } from '../../journal/run-once.ts'
import { type CommandHost, processOrder, resolveCommand, runWhileWanted } from '../run-command.ts'
import { inCheckout } from './checkout.ts'

/** A host that tests. */
export interface TestHost extends CommandHost {
  repositories: Readonly<Record<string, RepositoryConfig>>
  /** Where the host keeps what is its own. */
  data: string
}

/** How long one step of git may take, in milliseconds. */
const GIT_TIMEOUT_MS = 10 * 60_000

/**
 * The activity `testRevision`. It runs code from a pull request, so it needs a permit like any change. What is cut
 * off may be done again: it leaves nothing behind.
 *
 * @throws ApplicationFailure, not retried: `RepositoryNotAllowed`, `RevisionNotAllowed`, `CommandNotAllowed`,
 *   `CheckoutFailed`, `CommandTimeout`, and those of {@link carryOut}
 */
export function testRevisionActivity(host: TestHost): (request: TestRevisionRequest) => Promise<TestRevisionReport> {
  return ({ repository: name, revision, test }) => {
    const repository = Object.hasOwn(host.repositories, name) ? host.repositories[name] : undefined
    if (repository === undefined) throw refused('RepositoryNotAllowed', `repository ${JSON.stringify(name)}`, host)
    if (!RE2JS.compile(repository.revisions).matcher(String(revision)).matches() || revision.startsWith('-')) {
      throw refused('RevisionNotAllowed', `revision ${JSON.stringify(revision)} of ${name}`, host)
    }
    if (!repository.tests.includes(test)) {
      throw refused('CommandNotAllowed', `test ${JSON.stringify(test)} of ${name}`, host)
    }
    const { argv, command } = resolveCommand(host, { name: test })
    return carryOut(host, {
      what: `test ${test} of ${name} at ${revision}`,
      binding: { name: test, workflows: command.workflows },
      repeatable: true,
      effect: () =>
        inCheckout(
          join(host.data, 'checkouts'),
          { url: repository.url, revision },
          (step, directory, env) => gitStep(host, step, directory, env),
          async ({ directory, home, commit }) => ({
            commit,
            test: await runIn(host, argv, directory, { HOME: home }, command.timeout),
          }),
        ),
    })
  }
}

function refused(type: string, what: string, { node }: TestHost): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`${node} allows no ${what}`, type)
}

async function gitStep(
  host: TestHost,
  argv: string[],
  directory: string,
  env: Record<string, string>,
): Promise<string> {
  const { exitCode, stdout, stderr } = await runIn(host, argv, directory, env, GIT_TIMEOUT_MS)
  if (exitCode === 0) return stdout
  throw ApplicationFailure.nonRetryable(`git exited with ${exitCode}: ${stderr.trim()}`, 'CheckoutFailed')
}

/** Runs a program in a checkout; of long output, the end is kept. */
async function runIn(
  host: TestHost,
  argv: string[],
  directory: string,
  env: Record<string, string>,
  timeout: number,
): Promise<CommandResult> {
  const plain = processOrder(host, argv)
  const order = { ...plain, directory, env: { ...plain.env, ...env }, keeps: 'tail', leavesNothing: true } as const
  return unwrap((await runWhileWanted(order, timeout)) ?? unknownOutcome(String(argv[0]))) as CommandResult
}

/** Tests a revision on a machine of the fleet, and leaves nothing behind. */
import { describeCommand, fail, type Run, type TestRevisionReport, testRevision } from 'resile/workflow'

/** The input, declared for triggers in test-pull-request.hcl. */
export interface Input {
  /** Name of a repository, as the host's worker.hcl has it. */
  repository: string
  /** A commit, or a reference such as `refs/pull/7/head`. */
  revision: string
  /** Name of the command that tests it. */
  test: string
  /** Says what it would run, and does nothing. */
  dry_run?: boolean
}

/** A test that passed. */
export type Result = TestRevisionReport & { passed: true }

/**
 * Check out, test, clean up. A test that fails makes the execution fail, with its log.
 *
 * @throws ApplicationFailure `TestsFailed` with the report in `details[0]`; what the host refuses, by its name
 */
export async function testPullRequest(input: Input, run: Run): Promise<Result | object> {
  const { repository, revision, test } = input
  if (input.dry_run) return { dry_run: true, repository, revision, would_run: await describeCommand({ name: test }) }
  const report = await testRevision({ repository, revision, test })
  const { exitCode } = report.test
  if (exitCode === 0) return { passed: true, ...report }
  const message = `${test} of ${repository} at ${report.commit} exited with ${exitCode} on ${run.target.node ?? run.datacenter}`
  return fail('TestsFailed', message, { passed: false, ...report })
}

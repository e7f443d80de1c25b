import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Context } from '@temporalio/activity'
import { WorkflowClient, type WorkflowFailedError } from '@temporalio/client'
import { type ApplicationFailure, defaultPayloadConverter } from '@temporalio/common'
import { TestWorkflowEnvironment } from '@temporalio/testing'
import { Runtime, Worker } from '@temporalio/worker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../host-worker/package-root.ts'
import { findTemporalCli } from '../host-worker/temporal/cli.ts'
import { bundleWorkflows } from '../host-worker/worker/bundle-workflows.ts'
import { quietLogger } from '../host-worker/worker/temporal-logger.ts'
import type { Input, restartService } from './restart-service.ts'
import type { CheckResult, CommandResult, Diagnostics } from './sdk/activities.ts'
import type { HostActivities, Run } from './sdk/index.ts'

const HEALTHY: CheckResult = { ok: true, status: 200, durationMs: 1 }
const SICK: CheckResult = { ok: false, status: 500, durationMs: 1, error: 'status 500, expected 200' }
const DIAGNOSTICS = { node: 'web-1', load: [9, 9, 9] } as Partial<Diagnostics> as Diagnostics

let environment: TestWorkflowEnvironment
let scratch: string
let code: string
beforeAll(async () => {
  Runtime.install({ logger: quietLogger(() => undefined) })
  scratch = await mkdtemp(join(tmpdir(), 'resile-workflow-'))
  const { path } = await findTemporalCli({ log: () => undefined })
  environment = await TestWorkflowEnvironment.createLocal({ server: { executable: { type: 'existing-path', path } } })
  code = (
    await bundleWorkflows(
      [{ type: 'restartService', code: join(PACKAGE_ROOT, 'workflows/restart-service.ts') }],
      scratch,
    )
  ).code
}, 120_000)
afterAll(async () => {
  await environment?.teardown()
  await rm(scratch, { recursive: true })
})

/** What a host would do: how the command ends, and what each check in turn finds (the last one again and again). */
interface Host {
  command: Partial<CommandResult> | 'cut off'
  checks: CheckResult[]
}

/** Runs the workflow against a host. The workflow's tasks and the host's activities are on different queues. */
async function restart(host: Host, input: Partial<Input> = {}): Promise<{ result: unknown; calls: string[] }> {
  const calls: string[] = []
  const checks = [...host.checks]
  const activities: HostActivities = {
    async runCommand({ name, params }) {
      calls.push(`run ${name} ${JSON.stringify(params)}`)
      // No word from it any more, as when its worker has died.
      if (host.command === 'cut off') return Context.current().cancelled
      return { exitCode: 0, stdout: '', stderr: '', durationMs: 5, ...host.command }
    },
    async checkHttp({ url }) {
      calls.push(`check ${url}`)
      return (checks.length > 1 ? checks.shift() : checks[0]) ?? SICK
    },
    async collectDiagnostics() {
      calls.push('collect')
      return DIAGNOSTICS
    },
  }
  const id = randomUUID()
  const { nativeConnection: connection } = environment
  const general = await Worker.create({
    connection,
    taskQueue: `dc1-${id}`,
    workflowBundle: { code },
    sinks: { resile: { closed: { fn: () => void calls.push('closed') } } },
  })
  const node = await Worker.create({ connection, taskQueue: `node-${id}`, activities })
  const run: Run = {
    execution_id: id,
    workflow: 'restart-service',
    datacenter: 'dc1',
    target: { node: 'web-1' },
    reason: null,
    trigger: null,
  }
  // The header that the coordinator sends: by it, activities run on the target's queue.
  const header = { resile: defaultPayloadConverter.toPayload({ task_queue: `node-${id}` }) }
  const client = new WorkflowClient({
    connection: environment.connection,
    interceptors: [{ start: (start, next) => next({ ...start, headers: header }) }],
  })
  const result = await general.runUntil(
    node.runUntil(
      client
        .execute<typeof restartService>('restartService', {
          workflowId: id,
          taskQueue: `dc1-${id}`,
          args: [{ command: 'restart', check: { url: 'http://web-1/' }, verify_for: '3s', ...input }, run],
        })
        .catch((error: unknown) => error),
    ),
  )
  return { result, calls }
}

describe('restart-service', () => {
  it('acts, and is done when the service answers', async () => {
    const { result, calls } = await restart({ command: {}, checks: [SICK, HEALTHY] }, { params: { unit: 'nginx' } })
    expect(result).toMatchObject({ healthy: true, checks: 2, command: { exitCode: 0 } })
    expect(calls).toEqual(['run restart {"unit":"nginx"}', 'check http://web-1/', 'check http://web-1/', 'closed'])
  })

  it('ends failed with the reason and what an engineer would look at first', async () => {
    const { result, calls } = await restart({ command: {}, checks: [SICK] })
    const cause = (result as WorkflowFailedError).cause as ApplicationFailure
    expect(cause).toMatchObject({
      type: 'NotHealthy',
      message: expect.stringContaining('3s after restart: status 500'),
    })
    expect(cause.details?.[0]).toMatchObject({ check: SICK, command: { exitCode: 0 }, diagnostics: DIAGNOSTICS })
    expect(calls.at(-2)).toBe('collect')
  })

  it('does not wait for a service whose restart failed', async () => {
    const { result, calls } = await restart({ command: { exitCode: 3, stderr: 'no such unit' }, checks: [HEALTHY] })
    const cause = (result as WorkflowFailedError).cause as ApplicationFailure
    expect(cause).toMatchObject({ type: 'CommandFailed', message: 'restart exited with 3' })
    expect(cause.details?.[0]).toMatchObject({ command: { stderr: 'no such unit' } })
    expect(calls).not.toContain('check http://web-1/')
  })

  it('lets the check decide when the command was cut off', async () => {
    const { result, calls } = await restart({ command: 'cut off', checks: [HEALTHY] })
    expect(result).toMatchObject({ healthy: true, command: null })
    expect(calls.filter((call) => call.startsWith('run '))).toHaveLength(1)
  }, 60_000)

  it('refuses a verify_for that is no duration', async () => {
    const { result, calls } = await restart({ command: {}, checks: [HEALTHY] }, { verify_for: 'soon' })
    expect((result as WorkflowFailedError).cause).toMatchObject({ type: 'InvalidInput' })
    expect(calls).toEqual(['closed'])
  })
})

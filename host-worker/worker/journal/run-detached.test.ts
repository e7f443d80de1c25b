import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ActivityCancellationDetails, CancelledFailure } from '@temporalio/common'
import type { MockActivityEnvironment } from '@temporalio/testing'
import { describe, expect, it } from 'vitest'
import { rebootHostActivity } from '../activities/reboot-host.ts'
import { runCommandActivity } from '../activities/run-command.ts'
import { command, order, type TestHost, testHost } from '../testing/change-host.ts'
import { keyOf } from './journal.ts'
import { startRunner } from './runner.ts'

const failure = (type: string): unknown => expect.objectContaining({ type, nonRetryable: true })

/** A command that writes a line when it begins, and another when it ends. */
const slow = (seconds: string) => command(['sh', '-c', `echo begun >> log; sleep ${seconds}; echo ended >> log`])

function lines(host: TestHost): string[] {
  const file = join(host.directory, 'log')
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
}

function run(host: TestHost, environment: MockActivityEnvironment, name = 'c'): Promise<unknown> {
  return environment.run(runCommandActivity(host), { name, outlivesWorker: true })
}

function keyOfOrder(environment: MockActivityEnvironment): string {
  const { workflowExecution, activityId } = environment.context.info
  if (workflowExecution === undefined) throw new Error('no workflow')
  return keyOf({ ...workflowExecution, activityId })
}

describe('command that outlives its worker', () => {
  it('later attempt → gets its outcome', async () => {
    const host = testHost({ c: slow('0') })
    const attempt = order()
    expect(await run(host, attempt())).toMatchObject({ exitCode: 0 })
    expect(await run(host, attempt())).toMatchObject({ exitCode: 0 })
    expect(lines(host)).toEqual(['begun', 'ended'])
  })

  it('worker stops → continues, next attempt waits', async () => {
    const host = testHost({ c: slow('1.5') })
    const attempt = order()
    const first = attempt()
    const running = run(host, first)
    await expect.poll(() => lines(host)).toEqual(['begun'])
    first.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }))
    await expect(running).rejects.toMatchObject({ type: 'WorkerStopped', nonRetryable: false })
    expect(await run(host, attempt())).toMatchObject({ exitCode: 0 })
    expect(lines(host)).toEqual(['begun', 'ended'])
  })

  it('workflow cancelled → ended, outcome canceled', async () => {
    const host = testHost({ c: slow('60') })
    const attempt = order()
    const first = attempt()
    const running = run(host, first)
    await expect.poll(() => lines(host)).toEqual(['begun'])
    first.cancel('CANCELLED', new ActivityCancellationDetails({ cancelRequested: true }))
    await expect(running).rejects.toBeInstanceOf(CancelledFailure)
    await expect(run(host, attempt())).rejects.toBeInstanceOf(CancelledFailure)
    expect(lines(host)).toEqual(['begun'])
  })

  it('timeout → ended, with or without a worker', async () => {
    const host = testHost({ c: { ...slow('60'), timeout: 600 } })
    const attempt = order()
    await expect(run(host, attempt())).rejects.toEqual(failure('CommandTimeout'))
    expect(lines(host)).toEqual(['begun'])
  })

  it('two runners → one runs it', async () => {
    const host = testHost({ c: slow('0.3') })
    const environment = order('exec-1')()
    const running = run(host, environment)
    const key = keyOfOrder(environment)
    await expect.poll(() => host.journal.find(key)).not.toBeNull()
    const again = { argv: ['sh', '-c', 'echo again >> log'], directory: host.directory, env: {}, outputCap: 100 }
    const runners = [1, 2, 3].map(() =>
      startRunner({
        journal: host.journal.directory,
        key,
        command: { ...again, killGrace: 100 },
        timeout: 1000,
        ends: true,
      }),
    )
    await running
    await expect.poll(() => runners.every(({ exitCode }) => exitCode !== null), { timeout: 20_000 }).toBe(true)
    expect([['begun', 'ended'], ['again']]).toContainEqual(lines(host))
  })

  it('runner killed → outcome unknown, not run again', async () => {
    const host = testHost({ c: slow('60') })
    const attempt = order()
    const environment = attempt()
    const running = run(host, environment)
    await expect.poll(() => lines(host)).toEqual(['begun'])
    const holder = host.journal.find(keyOfOrder(environment))?.holder
    process.kill(holder?.pid ?? 0, 'SIGKILL')
    await expect(running).rejects.toEqual(failure('OutcomeUnknown'))
    await expect(run(host, attempt())).rejects.toEqual(failure('OutcomeUnknown'))
    expect(lines(host)).toEqual(['begun'])
  })

  it('intent without a runner → begun by a later attempt', async () => {
    const host = testHost({ c: slow('0') })
    const environment = order('exec-1')()
    const { workflowExecution } = environment.context.info
    host.journal.begin({
      order: { execution: 'exec-1', workflowId: 'exec-1', runId: workflowExecution?.runId ?? '', activityId: '7' },
      subject: 'web-1',
      what: 'command c',
      bootId: host.boot,
      now: Date.now(),
      until: null,
      holder: null,
    })
    expect(await run(host, environment)).toMatchObject({ exitCode: 0 })
    expect([lines(host), host.asked]).toEqual([['begun', 'ended'], 1])
  })
})

describe('reboot', () => {
  const reboot = (host: TestHost, environment: MockActivityEnvironment, within = '20s') =>
    environment.run(rebootHostActivity(host), { command: 'reboot', within })
  const ordering = command(['sh', '-c', 'echo ordered >> log'])

  it('boot id changed → happened', async () => {
    const host = testHost({ reboot: ordering })
    const running = reboot(host, order()())
    await expect.poll(() => lines(host)).toEqual(['ordered'])
    host.boot = 'boot-2'
    expect(await running).toMatchObject({ previousBootId: 'boot-1', bootId: 'boot-2' })
  })

  it('next attempt → recognises it, never ordered twice', async () => {
    const host = testHost({ reboot: ordering })
    const attempt = order()
    const first = attempt()
    const running = reboot(host, first)
    await expect.poll(() => lines(host)).toEqual(['ordered'])
    first.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }))
    await expect(running).rejects.toMatchObject({ type: 'WorkerStopped' })
    host.boot = 'boot-2'
    for (const _ of [1, 2]) expect(await reboot(host, attempt())).toMatchObject({ bootId: 'boot-2' })
    expect(lines(host)).toEqual(['ordered'])
  })

  it('command fails → failed', async () => {
    const host = testHost({ reboot: command(['sh', '-c', 'echo no >&2; exit 4']) })
    await expect(reboot(host, order()())).rejects.toMatchObject({
      type: 'CommandFailed',
      details: [{ command: { exitCode: 4, stderr: 'no\n' } }],
    })
  })

  it('not in time → failed', async () => {
    const host = testHost({ reboot: ordering })
    await expect(reboot(host, order()(), '1s')).rejects.toEqual(failure('NotRebooted'))
  })

  it('boot id unknown → not ordered', async () => {
    const host = testHost({ reboot: ordering })
    host.boot = 'unknown'
    await expect(reboot(host, order()())).rejects.toEqual(failure('BootIdUnknown'))
    expect(lines(host)).toEqual([])
  })

  it('boot id unreadable for a moment → not yet happened', async () => {
    const host = testHost({ reboot: ordering })
    const running = reboot(host, order()(), '3s')
    await expect.poll(() => lines(host)).toEqual(['ordered'])
    host.boot = 'unknown'
    await expect(running).rejects.toEqual(failure('NotRebooted'))
  })
})

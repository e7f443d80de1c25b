import { spawn } from 'node:child_process'
import { ApplicationFailure } from '@temporalio/common'
import { describe, expect, it, onTestFinished } from 'vitest'
import { identify, type ProcessIdentity } from '../../process/process-identity.ts'
import { activityEnvironment } from '../testing/activity-environment.ts'
import { order, type TestHost, testHost } from '../testing/change-host.ts'
import { heartbeating } from './activity-heartbeat.ts'
import { Journal } from './journal.ts'
import { carryOut } from './run-once.ts'

const failure = (type: string): unknown => expect.objectContaining({ type, nonRetryable: true })

/** Counts how often it was done. */
function effect(outcome: () => unknown = () => 'done') {
  const done = { times: 0 }
  const change = {
    what: 'a change',
    effect: async () => {
      done.times += 1
      return outcome()
    },
  }
  return { done, change }
}

/** What a worker leaves that dies in the middle of a change. */
function interrupted(host: TestHost, workflowId: string, runId: string, holder: ProcessIdentity): void {
  const id = { execution: workflowId, workflowId, runId, activityId: '7' }
  const intent = {
    order: id,
    subject: 'web-1',
    what: 'a change',
    bootId: host.boot,
    now: Date.now(),
    until: null,
    holder,
  }
  host.journal.begin(intent)
}

/** A process that lives until it is killed, and how to kill it. */
function liveProcess(): { identity: ProcessIdentity; kill: () => void } {
  const child = spawn('sleep', ['60'])
  onTestFinished(() => void child.kill('SIGKILL'))
  const identity = identify(child.pid ?? 0)
  if (identity === undefined) throw new Error('it did not start')
  return { identity, kill: () => child.kill('SIGKILL') }
}

const GONE: ProcessIdentity = { pid: process.pid, started: 'another time' }

describe('change made once', () => {
  it('later attempt, also after a restart → recorded outcome', async () => {
    const host = testHost()
    const { done, change } = effect()
    const attempt = order()
    expect(await attempt().run(() => carryOut(host, change))).toBe('done')
    const reopened = new Journal(host.journal.directory)
    expect(await attempt().run(() => carryOut({ ...host, journal: reopened }, change))).toBe('done')
    reopened.close()
    expect([done.times, host.asked]).toEqual([1, 1])
  })

  it('attempts at the same time → one change', async () => {
    const host = testHost()
    const { done, change } = effect(() => new Promise((resolve) => setTimeout(resolve, 300, 'late')))
    const attempt = order()
    const all = [1, 2, 3].map(() => attempt().run(() => carryOut(host, change)))
    expect(await Promise.all(all)).toEqual(['late', 'late', 'late'])
    expect(done.times).toBe(1)
  })

  it('failure → an outcome with details', async () => {
    const host = testHost()
    const { done, change } = effect(() => {
      throw ApplicationFailure.create({ type: 'too_few', message: 'no', nonRetryable: true, details: [{ left: 1 }] })
    })
    const attempt = order()
    for (const _ of [1, 2]) {
      await expect(attempt().run(() => carryOut(host, change))).rejects.toMatchObject({
        type: 'too_few',
        message: 'no',
        details: [{ left: 1 }],
        nonRetryable: true,
      })
    }
    expect(done.times).toBe(1)
  })

  it('another activity → another change', async () => {
    const host = testHost()
    const { done, change } = effect()
    await order('exec-1')().run(() => carryOut(host, change))
    await order('exec-1')().run(() => carryOut(host, change))
    expect(done.times).toBe(2)
  })
})

describe('change cut off', () => {
  it('not repeatable → not made again, outcome unknown', async () => {
    const host = testHost()
    const { done, change } = effect()
    const environment = order('exec-1')()
    const { runId = '' } = environment.context.info.workflowExecution ?? {}
    interrupted(host, 'exec-1', runId, GONE)
    await expect(environment.run(() => carryOut(host, change))).rejects.toEqual(failure('OutcomeUnknown'))
    expect(done.times).toBe(0)
  })

  it('repeatable → made again', async () => {
    const host = testHost()
    const { done, change } = effect()
    const environment = order('exec-1')()
    const { runId = '' } = environment.context.info.workflowExecution ?? {}
    interrupted(host, 'exec-1', runId, GONE)
    expect(await environment.run(() => carryOut(host, { ...change, repeatable: true }))).toBe('done')
    expect([done.times, host.asked]).toEqual([1, 1])
  })

  it('its process lives → not over', async () => {
    const host = testHost()
    const { change } = effect()
    const environment = order('exec-1')()
    const { runId = '' } = environment.context.info.workflowExecution ?? {}
    const { identity, kill } = liveProcess()
    interrupted(host, 'exec-1', runId, identity)
    let ended = false
    const running = environment
      .run(() => carryOut(host, change))
      .finally(() => {
        ended = true
      })
    running.catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(ended).toBe(false)
    kill()
    await expect(running).rejects.toEqual(failure('OutcomeUnknown'))
  })

  it('repeatable, failed on its way → tried again', async () => {
    const host = testHost()
    let tries = 0
    const { done, change } = effect(() => {
      tries += 1
      if (tries === 1) throw new Error('no answer')
      return 'done'
    })
    const attempt = order()
    const repeatable = { ...change, repeatable: true }
    await expect(attempt().run(() => carryOut(host, repeatable))).rejects.toThrow('no answer')
    expect(await attempt().run(() => carryOut(host, repeatable))).toBe('done')
    expect(done.times).toBe(2)
  })
})

describe('one change at a time', () => {
  it("another execution's → refused until the first ends", async () => {
    const host = testHost()
    const { promise, resolve: finish } = Promise.withResolvers<unknown>()
    const first = effect(() => promise)
    const second = effect()
    const environment = order('exec-1')()
    const running = environment.run(() => carryOut(host, first.change))
    await expect.poll(() => first.done.times).toBe(1)
    const refused = order('exec-2')().run(() => carryOut(host, second.change))
    await expect(refused).rejects.toEqual(failure('HostBusy'))
    await expect(refused).rejects.toThrow('exec-1')
    const { workflowExecution } = environment.context.info
    const beside = activityEnvironment({ ...(workflowExecution && { workflowExecution }), activityId: '8' })
    expect(await beside.run(() => carryOut(host, second.change))).toBe('done')
    finish('done')
    await running
    await order('exec-2')().run(() => carryOut(host, second.change))
    expect(second.done.times).toBe(2)
  })

  it("another execution's → waited for, and said so", async () => {
    const host = testHost()
    host.waitsUntil = Date.now() + 60_000
    const { promise, resolve: finish } = Promise.withResolvers<unknown>()
    const first = effect(() => promise)
    const second = effect()
    const running = order('exec-1')().run(() => carryOut(host, first.change))
    await expect.poll(() => first.done.times).toBe(1)
    const environment = order('exec-2')()
    const beats: unknown[] = []
    environment.on('heartbeat', (details: unknown) => beats.push(details))
    const { wait } = heartbeating({ wait: () => carryOut(host, second.change) })
    const waiting = environment.run(wait)
    const said = { waiting_for: expect.stringMatching(/of execution exec-1 is in progress on web-1$/) }
    await expect.poll(() => beats).toContainEqual(said)
    expect(second.done.times).toBe(0)
    finish('done')
    await running
    expect(await waiting).toBe('done')
    // Asked again after the wait: a freeze may have come.
    expect(host.asked).toBe(3)
  })

  it("another node's → not excluded", async () => {
    const host = testHost()
    const { change } = effect()
    const id = { execution: 'exec-1', workflowId: 'exec-1', runId: 'r', activityId: '1' }
    const intent = { order: id, subject: 'web-2', what: 'drain web-2', bootId: 'boot-1', now: Date.now() }
    host.journal.begin({ ...intent, until: Date.now() + 60_000, holder: null })
    expect(await order('exec-2')().run(() => carryOut(host, change))).toBe('done')
    const refused = order('exec-3')().run(() => carryOut(host, { ...change, subject: 'web-2' }))
    await expect(refused).rejects.toEqual(failure('HostBusy'))
  })

  it.each([
    ['whose process is gone', GONE, 'boot-1', 0],
    ['of before the machine booted', null, 'boot-0', 60_000],
  ])('%s → not excluded', async (_, holder, bootId, lasts) => {
    const host = testHost()
    const { change } = effect()
    const id = { execution: 'exec-1', workflowId: 'exec-1', runId: 'r', activityId: '1' }
    const now = Date.now()
    host.journal.begin({ order: id, subject: 'web-1', what: 'old', bootId, now, until: now + lasts, holder })
    expect(await order('exec-2')().run(() => carryOut(host, change))).toBe('done')
  })

  it('reboot ordered → excludes until it is too late', async () => {
    const host = testHost()
    const { change } = effect()
    const id = { execution: 'exec-1', workflowId: 'exec-1', runId: 'r', activityId: '1' }
    const now = Date.now()
    host.journal.begin({
      order: id,
      subject: 'web-1',
      what: 'reboot',
      bootId: 'boot-1',
      now,
      until: now + 1500,
      holder: GONE,
    })
    await expect(order('exec-2')().run(() => carryOut(host, change))).rejects.toEqual(failure('HostBusy'))
    await expect.poll(() => order('exec-3')().run(() => carryOut(host, change)), { timeout: 10_000 }).toBe('done')
  })
})

describe('safety', () => {
  it('no permit → nothing begun or recorded', async () => {
    const host = testHost()
    const { done, change } = effect()
    const permits = {
      async check(): Promise<never> {
        throw ApplicationFailure.nonRetryable('no', 'PermitRefused')
      },
    }
    const attempt = order()
    await expect(attempt().run(() => carryOut({ ...host, permits }, change))).rejects.toEqual(failure('PermitRefused'))
    expect(done.times).toBe(0)
    expect(await attempt().run(() => carryOut(host, change))).toBe('done')
  })

  it('not recordable → nothing begun', async () => {
    const host = testHost()
    const { done, change } = effect()
    const broken = new Journal(`${host.journal.directory}-other`)
    broken.close()
    await expect(order()().run(() => carryOut({ ...host, journal: broken }, change))).rejects.toEqual(
      failure('JournalUnavailable'),
    )
    expect(done.times).toBe(0)
  })

  it('execution → bound to its first run', () => {
    const { journal } = testHost()
    expect(journal.bind('exec-1', 'run-1', 1)).toBe(true)
    expect(journal.bind('exec-1', 'run-2', 2)).toBe(false)
    expect(journal.bind('exec-1', 'run-1', 3)).toBe(true)
  })

  it('ended long ago → deleted; open → never', () => {
    const { journal } = testHost()
    const begin = (activityId: string) =>
      journal.begin({
        order: { execution: 'e', workflowId: 'e', runId: 'r', activityId },
        subject: 'web-1',
        what: 'w',
        bootId: 'b',
        now: 0,
        until: null,
        holder: GONE,
      }).key
    const [ended, open] = [begin('1'), begin('2')]
    journal.end(ended, { kind: 'result', result: 1 }, 0)
    const later = 33 * 24 * 3_600_000
    // The clock may be wrong by years after a boot: an order that comes again is known all the same.
    journal.forget(later)
    expect(journal.find(ended)).not.toBeNull()
    journal.forget(later, 0)
    expect([journal.find(ended), journal.find(open)?.what]).toEqual([null, 'w'])
  })
})

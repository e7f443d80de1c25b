import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ActivityCancellationDetails, ApplicationFailure } from '@temporalio/common'
import { describe, expect, it } from 'vitest'
import { identify, type ProcessIdentity } from '../../process/process-identity.ts'
import { runCommandActivity } from '../activities/run-command.ts'
import { command, order, type TestHost, testHost } from '../testing/change-host.ts'
import { type Intent, keyOf } from './journal.ts'
import { carryOut } from './run-once.ts'

const failure = (type: string): unknown => expect.objectContaining({ type, nonRetryable: true })
const GONE: ProcessIdentity = { pid: process.pid, started: 'another time' }
const alive = identify(process.pid) ?? GONE

function begun(host: TestHost, execution: string, more: Partial<Intent> = {}, id: Partial<Intent['order']> = {}): void {
  host.journal.begin({
    order: { execution, workflowId: execution, runId: 'r', activityId: '1', ...id },
    subject: 'web-1',
    what: 'a change',
    bootId: host.boot,
    now: Date.now(),
    until: null,
    holder: alive,
    ...more,
  })
}

const log = (host: TestHost): string =>
  existsSync(join(host.directory, 'log')) ? readFileSync(join(host.directory, 'log'), 'utf8') : ''

describe('one change at a time', () => {
  it('intent expired, another change began → does not begin', async () => {
    const host = testHost({ c: command(['sh', '-c', 'echo begun >> log']) })
    const environment = order('exec-1')()
    const runId = environment.context.info.workflowExecution?.runId ?? ''
    begun(host, 'exec-1', { until: Date.now() - 1, holder: null }, { runId, activityId: '7' })
    begun(host, 'exec-2')
    const running = environment.run(runCommandActivity(host), { name: 'c', outlivesWorker: true })
    await expect(running).rejects.toEqual(failure('HostBusy'))
    expect(log(host)).toBe('')
  })

  it('intent from before a reboot → begun, of this boot', async () => {
    const host = testHost({ c: command(['sh', '-c', 'echo begun >> log; sleep 1']) })
    const environment = order('exec-1')()
    const runId = environment.context.info.workflowExecution?.runId ?? ''
    begun(host, 'exec-1', { bootId: 'boot-0', until: Date.now() + 30_000, holder: null }, { runId, activityId: '7' })
    const running = environment.run(runCommandActivity(host), { name: 'c', outlivesWorker: true })
    expect(await running).toMatchObject({ exitCode: 0 })
  })

  it('begun already → not begun again', () => {
    const host = testHost()
    begun(host, 'exec-1')
    const key = keyOf({ workflowId: 'exec-1', runId: 'r', activityId: '1' })
    host.journal.end(key, { kind: 'result', result: 'done' }, 1)
    begun(host, 'exec-1')
    expect(host.journal.find(key)).toMatchObject({ outcome: { result: 'done' } })
  })

  it('intent expired or ended → not begun', () => {
    const host = testHost()
    const now = Date.now()
    begun(host, 'exec-1', { until: now + 1000, holder: null })
    const key = keyOf({ workflowId: 'exec-1', runId: 'r', activityId: '1' })
    expect(host.journal.claim(key, alive, now + 1000)).toBe(false)
    host.journal.renew(key, host.boot, now + 1000, now + 2000)
    expect(host.journal.refuse(key, { kind: 'failure', type: 'PermitRefused', message: 'no' }, now)).toBe(true)
    expect(host.journal.claim(key, alive, now + 1001)).toBe(false)
  })

  it('boot id unreadable for a moment → nothing ended', async () => {
    const host = testHost()
    begun(host, 'exec-1')
    host.boot = 'unknown'
    const change = { what: 'c', effect: async () => 'done' }
    await expect(order('exec-2')().run(() => carryOut(host, change))).rejects.toEqual(failure('HostBusy'))
  })

  it("run reset → waits for the earlier run's change", async () => {
    const host = testHost()
    begun(host, 'exec-1', {}, { runId: 'before the reset' })
    const change = { what: 'c', effect: async () => 'done' }
    await expect(order('exec-1')().run(() => carryOut(host, change))).rejects.toEqual(failure('HostBusy'))
  })
})

describe('disk fails in between', () => {
  /** Does something to the journal's file, past the host's own connection. */
  function tamper(host: TestHost, sql: string): void {
    const database = new DatabaseSync(join(host.journal.directory, 'journal.sqlite'))
    database.exec(sql)
    database.close()
  }
  const full = (when: string): string =>
    `CREATE TRIGGER full_${when.replaceAll(' ', '_')} BEFORE ${when} ON changes
     BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`
  const room = 'DROP TRIGGER full_UPDATE; DROP TRIGGER full_DELETE'

  it('change ended → recorded when there is space, excludes nothing', async () => {
    const host = testHost()
    const attempt = order('exec-1')
    let times = 0
    const change = {
      what: 'c',
      effect: async () => {
        times += 1
        tamper(host, `${full('UPDATE')}; ${full('DELETE')}`)
        return 'done'
      },
    }
    expect(await attempt().run(() => carryOut(host, change))).toBe('done')
    expect(await attempt().run(() => carryOut(host, change))).toBe('done')
    tamper(host, room)
    const other = { what: 'other', effect: async () => 'done' }
    expect(await order('exec-2')().run(() => carryOut(host, other))).toBe('done')
    expect(times).toBe(1)
  })

  it('repeatable change failed → made by the next attempt', async () => {
    const host = testHost()
    const attempt = order('exec-1')
    let times = 0
    const change = {
      what: 'c',
      repeatable: true,
      effect: async () => {
        times += 1
        if (times > 1) return 'done'
        tamper(host, `${full('UPDATE')}; ${full('DELETE')}`)
        throw new Error('no answer')
      },
    }
    await expect(attempt().run(() => carryOut(host, change))).rejects.toThrow('no answer')
    tamper(host, room)
    expect(await attempt().run(() => carryOut(host, change))).toBe('done')
  })

  it("process can't be recorded → runs on, outcome counts", async () => {
    const host = testHost({ c: command(['sh', '-c', 'sleep 0.3; echo ended >> log']) })
    tamper(host, full('UPDATE OF holder_pid'))
    expect(await order()().run(runCommandActivity(host), { name: 'c' })).toMatchObject({ exitCode: 0 })
    expect(log(host)).toBe('ended\n')
  })

  it('something began → no error says nothing did', async () => {
    const host = testHost({ c: command(['sh', '-c', 'echo begun >> log; sleep 2']) })
    const running = order()().run(runCommandActivity(host), { name: 'c', outlivesWorker: true })
    running.catch(() => undefined)
    await expect.poll(() => log(host), { timeout: 20_000 }).toBe('begun\n')
    tamper(host, 'ALTER TABLE changes RENAME TO moved')
    await expect(running).rejects.toMatchObject({ type: 'JournalUnreadable', nonRetryable: false })
  })
})

it('space reserved → no more needed', () => {
  const { journal } = testHost()
  journal.makeRoom()
  const sizes = (): number[] =>
    ['journal.sqlite', 'journal.sqlite-wal'].map((name) => statSync(join(journal.directory, name)).size)
  const before = sizes()
  for (let index = 0; index < 200; index++) {
    const id = { execution: `e${index}`, workflowId: `e${index}`, runId: 'r', activityId: '1' }
    const intent = { order: id, subject: 'web-1', what: 'w', bootId: 'b', now: index, until: null, holder: GONE }
    journal.end(journal.begin(intent).key, { kind: 'result', result: 'done' }, index)
  }
  expect(sizes()).toEqual(before)
})

describe('worker stops', () => {
  it('repeatable change → made again', async () => {
    const host = testHost()
    const attempt = order('exec-1')
    let times = 0
    const change = {
      what: 'c',
      repeatable: true,
      effect: async () => {
        times += 1
        if (times === 1) throw ApplicationFailure.nonRetryable('cut off', 'OutcomeUnknown')
        return 'done'
      },
    }
    await expect(attempt().run(() => carryOut(host, change))).rejects.toMatchObject({ nonRetryable: false })
    expect(await attempt().run(() => carryOut(host, change))).toBe('done')
  })

  it('read-only command → run again', async () => {
    const host = testHost({ look: command(['sleep', '60'], { read_only: true }) })
    const environment = order()()
    const running = environment.run(runCommandActivity(host), { name: 'look' })
    setTimeout(
      () => environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true })),
      500,
    )
    await expect(running).rejects.toMatchObject({ type: 'WorkerStopped', nonRetryable: false })
  })
})

describe('command ended → all of it', () => {
  it.each([false, true])(
    'children that do not heed SIGTERM too (outlivesWorker: %s)',
    async (outlivesWorker) => {
      const script = '(trap "" TERM; sleep 8; echo late >> log) & echo $! > pid; wait'
      const host = testHost({ c: command(['sh', '-c', script], { timeout: 1000 }) })
      await expect(order()().run(runCommandActivity(host), { name: 'c', outlivesWorker })).rejects.toEqual(
        failure('CommandTimeout'),
      )
      const child = Number(readFileSync(join(host.directory, 'pid'), 'utf8'))
      await new Promise((resolve) => setTimeout(resolve, 300))
      expect(identify(child)).toBeUndefined()
    },
    60_000,
  )
})

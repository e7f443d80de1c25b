import { setTimeout as sleep } from 'node:timers/promises'
import { CancelledFailure } from '@temporalio/common'
import { describe, expect, it } from 'vitest'
import { heartbeating } from '../journal/activity-heartbeat.ts'
import { activityEnvironment } from '../testing/activity-environment.ts'
import { limitConcurrency } from './limit-concurrency.ts'

/** An activity that runs until it is released, once at a time. */
function oneAtATime(maxWaitMs = 60_000) {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const running: unknown[] = []
  const { work } = heartbeating(
    limitConcurrency(
      'web-1',
      {
        work: async (request: unknown) => {
          running.push(request)
          await released
          return request
        },
      },
      { maxRunning: 1, maxWaitMs },
    ),
  )
  return { work, release, running }
}

const MINUTES = { startToCloseTimeoutMs: 20 * 60_000, scheduledTimestampMs: Date.now() }

describe('activities of a busy host', () => {
  it('one more than may run → waits, says on what, and runs next', async () => {
    const { work, release, running } = oneAtATime()
    const first = activityEnvironment(MINUTES).run(work, 'first')
    const environment = activityEnvironment(MINUTES)
    const said: unknown[] = []
    environment.on('heartbeat', (details) => said.push(details))
    const second = environment.run(work, 'second')
    await sleep(50)
    expect(running).toEqual(['first'])
    expect(said).toEqual([{ waiting_for: '1 other activities run on web-1' }])
    release()
    expect(await Promise.all([first, second])).toEqual(['first', 'second'])
  })

  it('its turn does not come → HostBusy, not retried; never run, and in nobody’s way', async () => {
    const { work, release, running } = oneAtATime(50)
    const first = activityEnvironment(MINUTES).run(work, 'first')
    await expect(activityEnvironment(MINUTES).run(work, 'second')).rejects.toMatchObject({
      type: 'HostBusy',
      nonRetryable: true,
      message: expect.stringMatching(/^1 other activities run on web-1, and work has waited /),
    })
    release()
    expect(await first).toBe('first')
    expect(await activityEnvironment(MINUTES).run(work, 'third')).toBe('third')
    expect(running).toEqual(['first', 'third'])
  })

  it('attempt that would end soon → HostBusy, retried', async () => {
    const { work, release } = oneAtATime()
    const first = activityEnvironment(MINUTES).run(work, 'first')
    const short = { startToCloseTimeoutMs: 500, scheduledTimestampMs: Date.now() }
    await expect(activityEnvironment(short).run(work, 'second')).rejects.toMatchObject({
      type: 'HostBusy',
      nonRetryable: false,
    })
    release()
    await first
  })

  it('cancelled while it waits → ends as cancelled, and never runs', async () => {
    const { work, release, running } = oneAtATime()
    const first = activityEnvironment(MINUTES).run(work, 'first')
    const environment = activityEnvironment(MINUTES)
    const second = environment.run(work, 'second')
    environment.cancel()
    await expect(second).rejects.toBeInstanceOf(CancelledFailure)
    release()
    await first
    expect(running).toEqual(['first'])
  })
})

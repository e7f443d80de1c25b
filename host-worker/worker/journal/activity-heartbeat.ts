import { AsyncLocalStorage } from 'node:async_hooks'
import { Context } from '@temporalio/activity'
import type { HeartbeatDetails } from '../../../workflows/sdk/activities.ts'
import { wrapActivities } from './wrap-activities.ts'

/** How often Temporal hears that an activity is under way, in milliseconds. */
const HEARTBEAT_INTERVAL_MS = 3000

/** What heartbeats of the running activity say besides that it lives; empty while there is nothing to say. */
const details = new AsyncLocalStorage<HeartbeatDetails>()

/**
 * Activities that let Temporal know that they live while they run: so it is noticed within seconds when their worker
 * dies, whatever they may take.
 */
export function heartbeating<Activities extends object>(activities: Activities): Activities {
  return wrapActivities(
    activities,
    (activity) => (request) =>
      details.run({}, async () => {
        const heartbeat = setInterval(beat, HEARTBEAT_INTERVAL_MS)
        try {
          return await activity(request)
        } finally {
          clearInterval(heartbeat)
        }
      }),
  )
}

/** Says what the running activity waits for; null when it goes on. */
export function reportWaiting(what: string | null): void {
  const own = details.getStore()
  if (own === undefined || own.waiting_for === (what ?? undefined)) return
  if (what === null) delete own.waiting_for
  else own.waiting_for = what
  beat()
}

/** Says that the running activity has begun to change the host: if the host is lost now, what it did is unknown. */
export function reportBegun(): void {
  const own = details.getStore()
  if (own === undefined || own.begun) return
  own.begun = true
  beat()
}

function beat(): void {
  const own = details.getStore()
  if (own === undefined || Object.keys(own).length === 0) Context.current().heartbeat()
  else Context.current().heartbeat({ ...own })
}

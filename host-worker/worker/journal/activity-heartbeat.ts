import { AsyncLocalStorage } from 'node:async_hooks'
import { Context } from '@temporalio/activity'

/** How often Temporal hears that an activity is under way, in milliseconds. */
const HEARTBEAT_INTERVAL_MS = 3000

/** What a heartbeat says besides: why nothing happens. The coordinator shows it with the execution's steps. */
interface HeartbeatDetails {
  waiting_for: string
}

/** Of the running activity; null while it works. */
const details = new AsyncLocalStorage<{ now: HeartbeatDetails | null }>()

/**
 * Activities that let Temporal know that they live while they run: so it is noticed within seconds when their worker
 * dies, whatever they may take.
 */
export function heartbeating<Activities extends object>(activities: Activities): Activities {
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]: [string, (request: unknown) => Promise<unknown>]) => [
      name,
      (request: unknown) =>
        details.run({ now: null }, async () => {
          const heartbeat = setInterval(beat, HEARTBEAT_INTERVAL_MS)
          try {
            return await activity(request)
          } finally {
            clearInterval(heartbeat)
          }
        }),
    ]),
  ) as Activities
}

/** Says what the running activity waits for; null when it goes on. */
export function reportWaiting(what: string | null): void {
  const own = details.getStore()
  if (own === undefined || own.now?.waiting_for === (what ?? undefined)) return
  own.now = what === null ? null : { waiting_for: what }
  beat()
}

function beat(): void {
  const now = details.getStore()?.now
  if (now === null || now === undefined) Context.current().heartbeat()
  else Context.current().heartbeat(now)
}

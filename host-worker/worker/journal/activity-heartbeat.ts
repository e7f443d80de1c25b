import { Context } from '@temporalio/activity'

/** How often Temporal hears that an activity is under way, in milliseconds. */
const HEARTBEAT_INTERVAL_MS = 3000

/**
 * Activities that let Temporal know that they live while they run: so it is noticed within seconds when their worker
 * dies, whatever they may take.
 */
export function heartbeating<Activities extends object>(activities: Activities): Activities {
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]: [string, (request: unknown) => Promise<unknown>]) => [
      name,
      async (request: unknown) => {
        const context = Context.current()
        const heartbeat = setInterval(() => context.heartbeat(), HEARTBEAT_INTERVAL_MS)
        try {
          return await activity(request)
        } finally {
          clearInterval(heartbeat)
        }
      },
    ]),
  ) as Activities
}

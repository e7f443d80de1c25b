/** The faults of a drill. Each takes its particulars from the seed, heals what it broke, and then returns. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet } from './fleet.ts'
import type { Random } from './random.ts'

/** A fault with its particulars, ready to happen. */
export interface Fault {
  name: string
  /** What it breaks: of each, one fault at a time. */
  subject: string
  inject(fleet: Fleet, signal: AbortSignal): Promise<void>
}

/** How long a trigger is valid that a fault is to outlast, in seconds. */
export const SHORT_VALID_FOR = 2

/** Draws a fault on a subject that is still whole. */
export function drawFault(random: Random, nodes: readonly string[], taken: ReadonlySet<string>): Fault {
  const node = random.pick(nodes)
  const free = [
    killCoordinator(),
    killTemporal(random),
    killWorker(node),
    freeze(random, 'temporal'),
    freeze(random, 'coordinator'),
    cutLine(random),
    delayLine(random),
    holdBack(random),
    loseReplies(random),
    duplicate(random),
  ].filter(({ subject }) => !taken.has(subject))
  return random.pick(free)
}

/**
 * Starts are taken, their senders' connections broken, and Temporal gets them when their `valid_for` has passed: no
 * earlier copy of them ever arrives. What would void them meanwhile is held up too, or not.
 */
export function holdBeyondValidFor(random: Random): Fault {
  const voidsToo = random.chance(0.6)
  const lateBy = random.whole(10, 400)
  const inFlight = random.fork()
  return {
    name: `hold starts beyond valid_for${voidsToo ? ', and voids' : ''}`,
    subject: 'line',
    inject: (fleet, signal) =>
      onLine(fleet, signal, SHORT_VALID_FOR * 1000 + lateBy + 1500, async (passage) => {
        if (!passage.startsWork) {
          if (passage.startsType === null || !voidsToo) return passage.answer(await passage.deliver())
          return passage.reset()
        }
        const wait = Math.max((passage.beginBy ?? 0) - Date.now(), 0) + lateBy + inFlight.whole(0, 300)
        fleet.line.deliverLater(passage, wait)
        passage.reset()
      }),
  }
}

/**
 * Temporal gets starts in time, and nobody hears of it until their `valid_for` has passed: what looks as if it never
 * started is running.
 */
export function loseRepliesBeyondValidFor(random: Random): Fault {
  const voidsToo = random.chance(0.5)
  return {
    name: `lose replies to starts beyond valid_for${voidsToo ? ', and to voids' : ''}`,
    subject: 'line',
    inject: (fleet, signal) =>
      onLine(fleet, signal, SHORT_VALID_FOR * 1000 + 1500, async (passage) => {
        const answer = await passage.deliver()
        if (passage.startsWork || (passage.startsType !== null && voidsToo)) passage.reset()
        else passage.answer(answer)
      }),
  }
}

function killCoordinator(): Fault {
  return { name: 'kill coordinator', subject: 'coordinator', inject: (fleet) => fleet.killNow('coordinator') }
}

function killTemporal(random: Random): Fault {
  const down = random.whole(200, 2500)
  return {
    name: `kill Temporal for ${seconds(down)}`,
    subject: 'temporal',
    inject: async (fleet, signal) => {
      await fleet.killNow('temporal')
      await delay(down, undefined, { signal })
      await fleet.bringTemporalBack()
    },
  }
}

function killWorker(node: string): Fault {
  return { name: `kill worker ${node}`, subject: `worker`, inject: (fleet) => fleet.killNow(node) }
}

function freeze(random: Random, name: 'temporal' | 'coordinator'): Fault {
  // Temporal also for longer than its callers wait: it still does what they requested, later.
  const ms = random.whole(700, name === 'temporal' ? 6000 : 4000)
  return {
    name: `stop ${name === 'temporal' ? 'Temporal' : name} for ${seconds(ms)}`,
    subject: name,
    inject: (fleet, signal) => fleet.freeze(name, ms, signal),
  }
}

function cutLine(random: Random): Fault {
  const ms = random.whole(500, 4000)
  return {
    name: `cut line for ${seconds(ms)}`,
    subject: 'line',
    inject: (fleet, signal) => onLine(fleet, signal, ms, async (passage) => passage.reset()),
  }
}

function delayLine(random: Random): Fault {
  const ms = random.whole(1500, 4000)
  const most = random.pick([300, 1000, 3000, 6000])
  const inFlight = random.fork()
  return {
    name: `delay line by up to ${seconds(most)} for ${seconds(ms)}`,
    subject: 'line',
    inject: (fleet, signal) =>
      onLine(fleet, signal, ms, async (passage) => {
        await delay(inFlight.whole(0, most))
        passage.answer(await passage.deliver())
      }),
  }
}

/** As in a network that breaks a connection and still has its packets. */
function holdBack(random: Random): Fault {
  const ms = random.whole(500, 2500)
  const later = random.pick([200, 1000, 5000])
  const inFlight = random.fork()
  return {
    name: `hold starts back for ${seconds(ms)}, deliver within ${seconds(later)}`,
    subject: 'line',
    inject: async (fleet, signal) => {
      const until = Date.now() + ms
      await onLine(fleet, signal, ms, async (passage) => {
        if (passage.startsType === null) return passage.answer(await passage.deliver())
        fleet.line.deliverLater(passage, until - Date.now() + inFlight.whole(0, later))
        passage.reset()
      })
    },
  }
}

function loseReplies(random: Random): Fault {
  const ms = random.whole(1000, 4000)
  const inFlight = random.fork()
  return {
    name: `lose replies for ${seconds(ms)}`,
    subject: 'line',
    inject: (fleet, signal) =>
      onLine(fleet, signal, ms, async (passage) => {
        const answer = await passage.deliver()
        if (inFlight.chance(0.8)) passage.reset()
        else passage.answer(answer)
      }),
  }
}

function duplicate(random: Random): Fault {
  const ms = random.whole(1000, 4000)
  const inFlight = random.fork()
  return {
    name: `deliver twice for ${seconds(ms)}`,
    subject: 'line',
    inject: (fleet, signal) =>
      onLine(fleet, signal, ms, async (passage) => {
        if (passage.request.method === 'POST') fleet.line.deliverLater(passage, inFlight.whole(0, 1500))
        passage.answer(await passage.deliver())
      }),
  }
}

async function onLine(
  fleet: Fleet,
  signal: AbortSignal,
  ms: number,
  tamper: Parameters<Fleet['line']['setFault']>[0],
): Promise<void> {
  fleet.line.setFault(tamper)
  try {
    await delay(ms, undefined, { signal })
  } finally {
    fleet.line.setFault()
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

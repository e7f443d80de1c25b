import { setTimeout as delay } from 'node:timers/promises'

export interface Patience {
  /** In milliseconds. */
  within?: number
  every?: number
}

/**
 * Polls until the answer is neither undefined nor false, and returns it. Waits for a minute by default, since the machine
 * may be busy; a test of how soon something happens sets `within`.
 * A poll that throws counts as no answer. The last error is the cause of the error on timeout.
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  { within = 60_000, every = 100 }: Patience = {},
): Promise<T> {
  const deadline = Date.now() + within
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
      last = answer
    } catch (error) {
      last = error
    }
    if (Date.now() >= deadline) throw new Error(`not within ${within} ms: ${what}`, { cause: last })
    await delay(every)
  }
}

/** Holds that something stays as it is for a while. */
export async function stays(what: string, ask: () => Promise<boolean>, forMs: number): Promise<void> {
  const deadline = Date.now() + forMs
  while (Date.now() < deadline) {
    if (!(await ask())) throw new Error(`no longer: ${what}`)
    await delay(250)
  }
}

/** The runner's process, see runner.ts. */
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify } from '../../process/process-identity.ts'
import { runProcess } from '../../process/run-process.ts'
import { commandOutcome } from './command-outcome.ts'
import { Journal, type Outcome } from './journal.ts'
import type { RunnerOrder } from './runner.ts'

/** How often, and how soon, it is tried again to write an outcome down that the disk did not take; milliseconds. */
const TRIES = { count: 60, pause: 1000 }

const cancelled = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => cancelled.abort())

const { journal: directory, key, command, timeout, ends } = JSON.parse(await text(process.stdin)) as RunnerOrder
const journal = new Journal(directory)
const identity = identify(process.pid)
if (identity !== undefined && journal.claim(key, identity, Date.now())) {
  const signal = AbortSignal.any([cancelled.signal, AbortSignal.timeout(timeout)])
  const ended = await runProcess({ ...command, signal })
  const outcome = commandOutcome(command.argv, ended, cancelled.signal.aborted, timeout)
  await write(ends ? () => journal.end(key, outcome, Date.now()) : () => report(outcome))
}
journal.close()

function report(outcome: Outcome): void {
  journal.report(key, outcome)
}

async function write(attempt: () => unknown): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      attempt()
      return
    } catch (error) {
      if (tries === TRIES.count) throw error
      await sleep(TRIES.pause)
    }
  }
}

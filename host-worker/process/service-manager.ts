/**
 * What a daemon tells systemd: that it is ready, that it stops, and that it lives. Node can't send to unix datagram sockets,
 * so systemd-notify(1) does.
 *
 * @see sd_notify(3), sd_watchdog_enabled(3)
 */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { log, messageOf } from '../../shared/log.ts'

const run = promisify(execFile)
const TIMEOUT_MS = 10_000
/** A host may be too busy to start a process: one that is not heard of would be ended for it. */
const RETRY_DELAY_MS = 2000

/** Says that the daemon is ready, and from then on that it lives, until it is stopped. Does nothing without systemd. */
export function reportReady(signal: AbortSignal): void {
  if (process.env['NOTIFY_SOCKET'] === undefined) return
  void report(signal)
}

async function report(signal: AbortSignal): Promise<void> {
  await notify('--ready', signal)
  const interval = watchdogInterval(process.env)
  while (!signal.aborted) {
    await sleep(interval ?? 2 ** 31 - 1, undefined, { signal, ref: false }).catch(() => undefined)
    if (!signal.aborted && interval !== null) await notify('WATCHDOG=1', signal)
  }
  await notify('STOPPING=1', signal)
}

/** Tells systemd something, again and again until it knows; only once while the daemon stops. */
async function notify(state: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await run('systemd-notify', [state], { timeout: TIMEOUT_MS })
      return
    } catch (error) {
      log('warn', 'service_manager_not_told', { state, detail: messageOf(error) })
    }
    if (signal.aborted) return
    await sleep(RETRY_DELAY_MS, undefined, { signal, ref: false }).catch(() => undefined)
  }
}

/** How often systemd has to be told, in milliseconds: twice in its time. Null when it does not wait for that. */
function watchdogInterval({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | null {
  if (WATCHDOG_USEC === undefined) return null
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return null
  const ms = Number(WATCHDOG_USEC) / 1000
  return Number.isFinite(ms) && ms > 0 ? ms / 2 : null
}

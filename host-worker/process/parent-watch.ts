import { Socket } from 'node:net'

/** How often the launcher is checked for being alive, where there is no pipe that says so. */
const POLL_INTERVAL_MS = 1000

/** The launcher's pid, while this process watches it. */
let launcher: number | null = null

/**
 * Ends this process when the one that launched it dies, by whatever means.
 *
 * The launcher (tools/runtime.mjs) holds the other end of a pipe whose number is in RESILE_PARENT_FD, and which the
 * kernel closes with it. A process that took another's place has no pipe, but the launcher's pid in RESILE_PARENT_PID.
 * This process then gets a SIGTERM, so that its own way of stopping runs, and is killed if that takes too long. Does
 * nothing without a launcher.
 */
export function endWithParent({ graceMs = 8_000 }: { graceMs?: number } = {}): void {
  const descriptor = Number(process.env['RESILE_PARENT_FD'] ?? Number.NaN)
  const pid = Number(process.env['RESILE_PARENT_PID'] ?? Number.NaN)
  // Not for children of this one: their descriptor of that number, and their parent, is another.
  delete process.env['RESILE_PARENT_FD']
  delete process.env['RESILE_PARENT_PID']

  let ended = false
  const end = () => {
    if (ended) return
    ended = true
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), graceMs).unref()
    process.kill(process.pid, 'SIGTERM')
  }
  if (Number.isInteger(descriptor)) {
    launcher = process.ppid
    const pipe = new Socket({ fd: descriptor, readable: true, writable: false })
    pipe.on('end', end)
    pipe.on('error', end)
    pipe.resume()
    pipe.unref()
  } else if (Number.isInteger(pid)) {
    launcher = pid
    setInterval(() => {
      if (process.ppid !== pid) end()
    }, POLL_INTERVAL_MS).unref()
  }
}

/** The environment that a program needs which replaces this process, so that it ends with the launcher too. */
export function parentEnvironment(): Record<string, string> {
  return launcher === null ? {} : { RESILE_PARENT_PID: String(launcher) }
}

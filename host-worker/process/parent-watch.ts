import { Socket } from 'node:net'

/**
 * Ends this process when the one that launched it dies, by whatever means.
 *
 * The launcher (tools/runtime.mjs) holds the other end of a pipe whose number stands in RESILE_PARENT_FD, and which the
 * kernel closes with it. This process then gets a SIGTERM, so that its own way of stopping runs, and is killed if that
 * takes too long. Does nothing without a launcher.
 */
export function endWithParent({ graceMs = 8_000 }: { graceMs?: number } = {}): void {
  const descriptor = Number(process.env['RESILE_PARENT_FD'] ?? Number.NaN)
  // Not for children of this one: their descriptor of that number is another.
  delete process.env['RESILE_PARENT_FD']
  if (!Number.isInteger(descriptor)) return

  let ended = false
  const end = () => {
    if (ended) return
    ended = true
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), graceMs).unref()
    process.kill(process.pid, 'SIGTERM')
  }
  const pipe = new Socket({ fd: descriptor, readable: true, writable: false })
  pipe.on('end', end)
  pipe.on('error', end)
  pipe.resume()
  pipe.unref()
}

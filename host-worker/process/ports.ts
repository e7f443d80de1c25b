import { createServer, type Server } from 'node:net'

/** The preferred port if it is free on that address, else any free one; 0 prefers none. */
export async function choosePort(preferred: number, host: string): Promise<number> {
  const [port] = await choosePorts([preferred], host)
  if (port === undefined) throw new Error(`no free port on ${host}`)
  return port
}

/** The same for several at once, all different. */
export async function choosePorts(preferred: readonly number[], host: string): Promise<number[]> {
  const held: Server[] = []
  try {
    for (const port of preferred) {
      const server = port === 0 ? undefined : await listen(port, host)
      held.push(server ?? (await listenAnywhere(host)))
    }
    return held.map(portOf)
  } finally {
    // Only now: a port that is still held can't be chosen twice.
    await Promise.all(held.map(closed))
  }
}

async function listenAnywhere(host: string): Promise<Server> {
  const server = (await listenInRange(host)) ?? (await listen(0, host))
  if (server === undefined) throw new Error(`no free port on ${host}`)
  return server
}

/** How many ports of RESILE_PORTS this process has tried: what it chose before may not be listened on yet. */
let tried = 0

/**
 * On a port of RESILE_PORTS (`FROM-TO`), if that is set: for tests that run beside each other, whose ports no outgoing
 * connection and no other test may take between the choice and the use.
 */
async function listenInRange(host: string): Promise<Server | undefined> {
  const [from = 0, to = -1] = (process.env['RESILE_PORTS'] ?? '').split('-').map(Number)
  if (!(from > 0 && to >= from)) return undefined
  const count = to - from + 1
  for (let tries = 0; tries < count; tries += 1) {
    const server = await listen(from + (tried++ % count), host)
    if (server !== undefined) return server
  }
  return undefined
}

/** Undefined when the port is taken, or not for us. */
function listen(port: number, host: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined)
      else reject(error)
    })
    server.listen({ port, host, exclusive: true }, () => resolve(server))
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}

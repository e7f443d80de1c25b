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
    for (const port of preferred) held.push((await listen(port, host)) ?? (await listenAnywhere(host)))
    return held.map(portOf)
  } finally {
    // Only now: a port that is still held can't be chosen twice.
    await Promise.all(held.map(closed))
  }
}

async function listenAnywhere(host: string): Promise<Server> {
  const server = await listen(0, host)
  if (server === undefined) throw new Error(`no free port on ${host}`)
  return server
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

/** HTTP servers that a test puts in the place of a service, a receiver, or another's endpoint. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd } from './cleanup.ts'

/**
 * Starts a server on a free port of 127.0.0.1; it is closed when the test file ends.
 *
 * @returns its port
 */
export async function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/**
 * Starts a server that takes whatever it is sent, as a webhook's receiver does: 200, without a body.
 *
 * @param received where the bodies go, parsed as JSON, in the order in which they came
 * @returns its port
 */
export function receive<Body>(received: Body[]): Promise<number> {
  return listen((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      received.push(JSON.parse(body) as Body)
      response.end()
    })
  })
}

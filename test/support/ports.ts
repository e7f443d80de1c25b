/** TCP ports of loopback for the processes of one test file: each vitest worker has its part of the run's block. */
import { createServer } from 'node:net'
import { inject } from 'vitest'
import { BLOCK_SIZE } from './port-blocks.ts'

/** At the start of a block, for what the whole run shares. */
const SHARED = 10
const PARTS = 6
const PART_SIZE = Math.floor((BLOCK_SIZE - SHARED) / PARTS)
/** For one `resile dev`: the coordinator, Temporal's, the sample service, and one for each worker. */
const RANGE_SIZE = 40

// Not always from the first on: a process of the file before might only just be giving that up.
let next = Math.floor(Math.random() * PART_SIZE)

/** A port that is free, and that this function gives to nobody else. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PART_SIZE; tries += 1) {
    const port = partStart() + next
    next = (next + 1) % PART_SIZE
    if (await isFree(port)) return port
  }
  throw new Error('no free port')
}

/** `FROM-TO`, for a process that chooses its ports itself (RESILE_PORTS). */
export function portRange(): string {
  if (next + RANGE_SIZE > PART_SIZE) next = 0
  const from = partStart() + next
  next += RANGE_SIZE
  return `${from}-${from + RANGE_SIZE - 1}`
}

function partStart(): number {
  const part = (Number(process.env['VITEST_POOL_ID'] ?? 1) - 1) % PARTS
  return inject('portBlock') + SHARED + part * PART_SIZE
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** What the end-to-end tests of one run share: a block of ports that no other run uses, Temporal, and compiled sources. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TestProject } from 'vitest/node'
import { storedWorker } from '../../host-worker/coordinator/bundle.ts'
import { findTemporalCli } from '../../host-worker/dev/temporal-cli/cli.ts'
import { compileCache } from '../../host-worker/process/compile-cache.ts'
import { startGuardian } from '../../host-worker/process/guardian.ts'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { identify } from '../../host-worker/process/process-identity.ts'
import { bundleWorkflows } from '../../host-worker/worker/bundle-workflows.ts'
import { BLOCKS } from './port-blocks.ts'
import { temporalArguments } from './temporal-arguments.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The first port of the run's block. */
    portBlock: number
    /** The Temporal of all tests that don't stop it. */
    sharedTemporal: { address: string; httpUrl: string }
    /** A data directory with filled caches and a bundled Worker. */
    warmData: string
  }
}

/** Runs before the first file; what it returns runs after the last. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const { block, lock } = await claimBlock()
  const directory = mkdtempSync(join(tmpdir(), 'resile-e2e-shared-'))
  // Node's own cache for what tests start: most of a command's life is compiling.
  process.env['NODE_COMPILE_CACHE'] ??= join(directory, 'node')
  const warmed = Promise.all([
    compileCache(directory, PROGRAMS, (detail) => console.error(`no compile cache: ${detail}`)),
    storedWorker(join(directory, 'coordinator')),
    bundleWorkflows([LIBRARY_WORKFLOW], join(directory, 'bundles')),
  ])
  const { path } = await findTemporalCli({ log: () => undefined })
  const ports = [block + 1, block + 2, block + 3] as const
  const args = temporalArguments(ports, join(directory, 'temporal.db'))
  const temporal = spawn(path, args, { detached: true, stdio: 'ignore' })
  const ended = new Promise((resolve) => temporal.once('close', resolve))
  // If this process is killed, the guardian ends Temporal.
  const guardian = await startGuardian()
  const leader = identify(temporal.pid ?? 0)
  if (leader !== undefined) guardian.watch(leader)
  const httpUrl = `http://127.0.0.1:${ports[1]}`
  await answers(temporal, httpUrl)
  await warmed
  project.provide('warmData', directory)
  project.provide('portBlock', block)
  project.provide('sharedTemporal', { address: `127.0.0.1:${ports[0]}`, httpUrl })
  return async () => {
    temporal.kill('SIGKILL')
    await ended
    await guardian.close()
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
    await new Promise((resolve) => lock.close(resolve))
  }
}

/** One whose bundle has most of the SDK in it. */
const LIBRARY_WORKFLOW = { type: 'drainNode', code: join(PACKAGE_ROOT, 'workflows/drain-node.ts') }

/** Programs that fill the compile cache of a data directory when they start. */
const PROGRAMS = ['worker/worker-main.ts', 'process/guardian-main.ts', 'detector/detector-main.ts'].map((file) =>
  join(PACKAGE_ROOT, 'host-worker', file),
)

/** Takes a block whose first port is free, and holds that port, so that another run takes another block. */
async function claimBlock(): Promise<{ block: number; lock: Server }> {
  for (const block of BLOCKS) {
    const lock = await listen(block)
    if (lock !== null) return { block, lock }
  }
  throw new Error(`too many test runs at once: the ports ${BLOCKS.join(', ')} of 127.0.0.1 are taken`)
}

function listen(port: number): Promise<Server | null> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(null))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server))
  })
}

async function answers(temporal: ChildProcess, httpUrl: string): Promise<void> {
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline && temporal.exitCode === null) {
    const answer = await fetch(`${httpUrl}/api/v1/system-info`).catch(() => undefined)
    if (answer?.ok === true) return
    await delay(50)
  }
  temporal.kill('SIGKILL')
  throw new Error(`Temporal did not start at ${httpUrl}`)
}

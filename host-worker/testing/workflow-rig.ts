/**
 * `resile/testing`: runs workflows on a real Temporal server against hosts that a test plays. What a host does is a
 * function for each of its activities; everything between is real.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WorkflowClient, WorkflowFailedError } from '@temporalio/client'
import { ApplicationFailure, defaultPayloadConverter } from '@temporalio/common'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { TestWorkflowEnvironment } from '@temporalio/testing'
import { Runtime, Worker } from '@temporalio/worker'
import { messageOf } from '../../shared/log.ts'
import type { HostActivities, Run } from '../../workflows/sdk/index.ts'
import { findTemporalCli } from '../temporal/cli.ts'
import { bundleWorkflows, type WorkflowSource } from '../worker/bundle-workflows.ts'
import { quietLogger } from '../worker/temporal-logger.ts'

/** What one host does, by activity. What it has no function for fails. */
export type PlayedHost = Partial<HostActivities>

/** One run of a workflow. */
export interface RigRun {
  /** Name of the exported workflow function. */
  type: string
  input: object
  /** The target of the run. */
  host: PlayedHost
  /** Other hosts, by task queue, such as `dc1:type:lb`. */
  others?: Record<string, PlayedHost>
  /** Default: the node `web-1`. */
  target?: Run['target']
  /** The activity after which the target's worker ends for good, as when its host goes down. */
  vanishesAfter?: keyof HostActivities
  /** Cancels the workflow when it resolves. */
  cancelWhen?: Promise<unknown>
}

/** How it ended. */
export interface RigOutcome {
  /** What the workflow returned; undefined when it failed. */
  result: unknown
  /** Why it failed; null when it did not. */
  error: { type: string; message: string; details: unknown } | null
  /** What the hosts were asked for, in order. */
  calls: { activity: string; request: unknown }[]
  /** Temporal's history of it as JSON, for {@link WorkflowRig.replay}. */
  history: unknown
}

/** A Temporal server, and the workflows bundled for it. */
export interface WorkflowRig {
  run(run: RigRun): Promise<RigOutcome>
  /** Runs recorded history against today's code. @throws Error when they no longer agree */
  replay(history: unknown): Promise<void>
  close(): Promise<void>
}

/**
 * Starts it; takes some seconds.
 *
 * @param workflows their types (the names of the exported functions) and files
 */
export async function startWorkflowRig(workflows: WorkflowSource[]): Promise<WorkflowRig> {
  Runtime.install({ logger: quietLogger(() => undefined) })
  const scratch = await mkdtemp(join(tmpdir(), 'resile-rig-'))
  const { path } = await findTemporalCli({ log: () => undefined })
  const { code, failures } = await bundleWorkflows(workflows, scratch)
  const [failure] = failures
  if (failure !== undefined) throw new Error(`${failure.code}: ${failure.message}`)
  const environment = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'existing-path', path } },
  })
  return {
    run: (run) => runWorkflow(environment, code, run),
    replay: async (history) => {
      await Worker.runReplayHistory({ workflowBundle: { code } }, history)
    },
    close: async () => {
      await environment.teardown()
      await rm(scratch, { recursive: true })
    },
  }
}

async function runWorkflow(environment: TestWorkflowEnvironment, code: string, run: RigRun): Promise<RigOutcome> {
  const calls: RigOutcome['calls'] = []
  const id = randomUUID()
  // Queues of its own, so that runs don't disturb each other; those of other hosts have the names that workflows make.
  const targetQueue = `target-${id}`
  const generalQueue = `general-${id}`
  const { nativeConnection: connection } = environment
  let vanish: () => void = () => undefined
  const target = await Worker.create({
    connection,
    taskQueue: targetQueue,
    activities: recording(run.host, calls, (activity) => {
      if (activity === run.vanishesAfter) vanish()
    }),
  })
  vanish = () => {
    if (target.getState() === 'RUNNING') target.shutdown()
  }
  const others = await Promise.all([
    Worker.create({
      connection,
      taskQueue: generalQueue,
      workflowBundle: { code },
      sinks: { resile: { closed: { fn: () => undefined } } },
    }),
    ...Object.entries(run.others ?? {}).map(([taskQueue, host]) =>
      Worker.create({ connection, taskQueue, activities: recording(host, calls) }),
    ),
  ])
  const context: Run = {
    execution_id: id,
    workflow: run.type,
    datacenter: 'dc1',
    target: run.target ?? { node: 'web-1' },
    reason: null,
    trigger: null,
  }
  // The header that the coordinator sends: by it, activities run on the target's queue.
  const headers = { resile: defaultPayloadConverter.toPayload({ task_queue: targetQueue }) }
  const client = new WorkflowClient({
    connection: environment.connection,
    interceptors: [{ start: (start, next) => next({ ...start, headers }) }],
  })
  const workers = [target, ...others]
  const running = workers.map((worker) => worker.run())
  try {
    const handle = await client.start(run.type, {
      workflowId: id,
      taskQueue: generalQueue,
      args: [run.input, context],
    })
    run.cancelWhen?.then(
      () => handle.cancel(),
      () => undefined,
    )
    const outcome = await handle.result().then(
      (result: unknown) => ({ result, error: null }),
      (error: unknown) => ({ result: undefined, error: describe(error) }),
    )
    return { ...outcome, calls, history: JSON.parse(historyToJSON(await handle.fetchHistory())) as unknown }
  } finally {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown()
    await Promise.all(running)
  }
}

/** The host's activities; each call is taken down, and told. */
function recording(
  host: PlayedHost,
  calls: RigOutcome['calls'],
  called: (activity: string) => void = () => undefined,
): object {
  return Object.fromEntries(
    Object.entries(host).map(([activity, play]) => [
      activity,
      (request: never) => {
        calls.push({ activity, request })
        called(activity)
        return play(request)
      },
    ]),
  )
}

function describe(error: unknown): NonNullable<RigOutcome['error']> {
  const cause = error instanceof WorkflowFailedError ? error.cause : error
  if (cause instanceof ApplicationFailure) {
    return { type: cause.type ?? 'Error', message: cause.message, details: cause.details?.[0] ?? null }
  }
  return { type: cause instanceof Error ? cause.name : 'Error', message: messageOf(cause), details: null }
}

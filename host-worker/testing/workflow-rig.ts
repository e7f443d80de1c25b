/**
 * `resile/testing`: runs workflows on a real Temporal server against hosts that a test plays. What a host does is a
 * function for each of its activities; everything between is real.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, parse } from 'node:path'
import { activityInfo } from '@temporalio/activity'
import { WorkflowClient, WorkflowFailedError } from '@temporalio/client'
import { ApplicationFailure, defaultPayloadConverter } from '@temporalio/common'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { TestWorkflowEnvironment } from '@temporalio/testing'
import { Runtime, Worker } from '@temporalio/worker'
import { defaultWorkflowType } from '../../shared/config.ts'
import { messageOf } from '../../shared/log.ts'
import type { CheckResult, CommandResult, HostActivities, Run } from '../../workflows/sdk/index.ts'
import { findTemporalCli } from '../dev/temporal-cli/cli.ts'
import { bundleWorkflows, type WorkflowSource } from '../worker/bundle-workflows.ts'
import { quietLogger } from '../worker/temporal-logger.ts'

/** To be thrown by a played host: `ApplicationFailure.nonRetryable(message, type)`. */
export { ApplicationFailure } from '@temporalio/common'

/**
 * What one host does, by activity. What is left unsaid of a command's or a check's result is as it is when all goes
 * well, and of a check that is not `ok` as a status 500 has it. An activity that there is no function for fails at once
 * with `NotPlayed`, but for {@link HostActivities.describeCommand} and {@link HostActivities.collectDiagnostics}, which
 * every host answers.
 */
export type PlayedHost = {
  [Activity in keyof HostActivities]?: (
    ...request: Parameters<HostActivities[Activity]>
  ) =>
    | Played<Awaited<ReturnType<HostActivities[Activity]>>>
    | Promise<Played<Awaited<ReturnType<HostActivities[Activity]>>>>
}

/** What a test has to say of an activity's result. */
type Played<Result> = Result extends CommandResult | CheckResult ? Partial<Result> : Result

/** One run of a workflow. */
export interface RigRun {
  /** Name of the exported workflow function; default: that of the rig's first workflow. */
  type?: string
  /** Default: `{}`. What HCL gives as default has to be said. */
  input?: object
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
  /**
   * Runs recorded history against today's code.
   *
   * @param history that of {@link RigOutcome}, or as Temporal's HTTP API gives it without payload shorthand
   * @throws Error when they no longer agree
   */
  replay(history: unknown): Promise<void>
  close(): Promise<void>
}

/**
 * Starts it; takes some seconds.
 *
 * @param workflows the absolute path of a workflow's code, whose function is named by the file's stem in camel case; or
 *   several, with their types (the names of the exported functions)
 * @throws Error when one of them can't be bundled
 */
export async function startWorkflowRig(workflows: string | WorkflowSource[]): Promise<WorkflowRig> {
  const sources =
    typeof workflows === 'string' ? [{ type: defaultWorkflowType(parse(workflows).name), code: workflows }] : workflows
  Runtime.install({ logger: quietLogger(() => undefined) })
  const scratch = await mkdtemp(join(tmpdir(), 'resile-rig-'))
  const { path } = await findTemporalCli({ log: () => undefined })
  const { code, failures } = await bundleWorkflows(sources, scratch)
  const [failure] = failures
  if (failure !== undefined) throw new Error(`${failure.code}: ${failure.message}`)
  const environment = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'existing-path', path } },
  })
  return {
    run: (run) => runWorkflow(environment, code, run, run.type ?? sources[0]?.type ?? ''),
    replay: async (history) => {
      await Worker.runReplayHistory({ workflowBundle: { code } }, unwrapped(history))
    },
    close: async () => {
      await environment.teardown()
      await rm(scratch, { recursive: true })
    },
  }
}

/** The history in an answer of Temporal's `GET …/workflows/{id}/history`. */
function unwrapped(history: unknown): unknown {
  return typeof history === 'object' && history !== null && 'history' in history ? history.history : history
}

async function runWorkflow(
  environment: TestWorkflowEnvironment,
  code: string,
  run: RigRun,
  type: string,
): Promise<RigOutcome> {
  const calls: RigOutcome['calls'] = []
  const id = randomUUID()
  // Separate queues, so that runs don't disturb each other; those of other hosts have the names that workflows use.
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
    workflow: type,
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
    const handle = await client.start(type, {
      workflowId: id,
      taskQueue: generalQueue,
      args: [run.input ?? {}, context],
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
  const activities = { ...ANSWERS, ...host }
  const recorded = Object.entries(activities).map(
    ([activity, play]): [string, (request: never) => Promise<unknown>] => [
      activity,
      async (request) => {
        calls.push({ activity, request })
        called(activity)
        return completed(activity, await play(request))
      },
    ],
  )
  return { ...Object.fromEntries<unknown>(recorded), default: notPlayed }
}

/** What a host answers that plays nothing else. */
const ANSWERS: PlayedHost = {
  describeCommand: ({ name }) => ({ name, argv: [name], timeoutMs: 30_000, readOnly: false }),
  collectDiagnostics: () => ({
    node: 'played',
    at: new Date(0).toISOString(),
    uptime: 0,
    load: [0, 0, 0],
    cpus: 1,
    memory: { total: 0, free: 0 },
    disk: null,
    processes: [],
  }),
}

/** A result with what the test left unsaid. */
function completed(activity: string, played: unknown): unknown {
  if (activity === 'runCommand') return { exitCode: 0, stdout: '', stderr: '', durationMs: 0, ...(played as object) }
  if (activity !== 'checkHttp') return played
  const check = played as Partial<CheckResult>
  const well = { ok: true, status: 200, durationMs: 0 }
  return { ...well, ...(check.ok === false ? { status: 500, error: 'status 500, expected 200' } : {}), ...check }
}

/** Called by Temporal for an activity that the host has no function for: it would be tried again for long. */
function notPlayed(): never {
  const { activityType } = activityInfo()
  throw ApplicationFailure.nonRetryable(`the test's host plays no ${activityType}`, 'NotPlayed')
}

function describe(error: unknown): NonNullable<RigOutcome['error']> {
  const cause = error instanceof WorkflowFailedError ? error.cause : error
  if (cause instanceof ApplicationFailure) {
    return { type: cause.type ?? 'Error', message: cause.message, details: cause.details?.[0] ?? null }
  }
  return { type: cause instanceof Error ? cause.name : 'Error', message: messageOf(cause), details: null }
}

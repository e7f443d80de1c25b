/** What Temporal itself recorded of the start of an activity's execution: nothing that its workflow code says counts. */
import type { NativeConnection } from '@temporalio/worker'
import type { Payload } from '../../../shared/payload.ts'
import { fromProto } from './proto-payload.ts'

/** One workflow run. */
export interface RunId {
  workflowId: string
  runId: string
}

/** How an execution began. Times in milliseconds since the epoch. */
export interface RunRecord {
  /** The execution at the root: its own id, or that of the workflow whose descendant it is. */
  workflowId: string
  /** Its first run, whatever continued it or reset it since, and the run that is meant here. */
  firstRunId: string
  runId: string
  /** Of that run, as are the following. */
  workflowType: string
  taskQueue: string
  startedAt: number
  input: readonly Payload[]
  /** Whether it has not ended: a child may outlive it. */
  isOpen: boolean
}

/** The parts of a start's event that count. */
interface Start {
  workflowType: string
  taskQueue: string
  at: number
  firstRunId: string
  root: RunId | null
  input: readonly Payload[]
}

/**
 * The record of the execution that a run belongs to, read from the first events of the histories concerned.
 *
 * @throws when Temporal doesn't answer or doesn't know the run
 */
export async function readRunRecord(
  connection: Pick<NativeConnection, 'workflowService'>,
  namespace: string,
  run: RunId,
): Promise<RunRecord> {
  const read = (id: RunId): Promise<Start> => readStart(connection, namespace, id)
  const own = await read(run)
  const isRoot = own.root === null || own.root.workflowId === run.workflowId
  const rootId = isRoot || own.root === null ? run : own.root
  const root = rootId === run ? own : await read(rootId)
  const first =
    root.firstRunId === rootId.runId ? root : await read({ workflowId: rootId.workflowId, runId: root.firstRunId })
  return {
    workflowId: rootId.workflowId,
    firstRunId: root.firstRunId,
    runId: rootId.runId,
    workflowType: first.workflowType,
    taskQueue: first.taskQueue,
    startedAt: first.at,
    input: first.input,
    // What asks for itself has not ended.
    isOpen: rootId === run || (await isRunning(connection, namespace, rootId.workflowId, root.firstRunId)),
  }
}

/** Whether the execution is open that began with a run. */
async function isRunning(
  { workflowService }: Pick<NativeConnection, 'workflowService'>,
  namespace: string,
  workflowId: string,
  firstRunId: string,
): Promise<boolean> {
  const { workflowExecutionInfo: info } = await workflowService.describeWorkflowExecution({
    namespace,
    execution: { workflowId },
  })
  return info?.status === RUNNING && (info.firstRunId || firstRunId) === firstRunId
}

/** `WORKFLOW_EXECUTION_STATUS_RUNNING` of temporal.api.enums.v1. */
const RUNNING = 1

async function readStart(
  { workflowService }: Pick<NativeConnection, 'workflowService'>,
  namespace: string,
  { workflowId, runId }: RunId,
): Promise<Start> {
  const { history } = await workflowService.getWorkflowExecutionHistory({
    namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  })
  const event = history?.events?.[0]
  const start = event?.workflowExecutionStartedEventAttributes
  if (event === undefined || start === null || start === undefined) {
    throw new Error(`the history of ${workflowId} does not begin with its start`)
  }
  const root = start.rootWorkflowExecution
  return {
    workflowType: start.workflowType?.name ?? '',
    taskQueue: start.taskQueue?.name ?? '',
    at: Number(event.eventTime?.seconds ?? 0) * 1000 + (event.eventTime?.nanos ?? 0) / 1_000_000,
    firstRunId: start.firstExecutionRunId ?? '',
    root: root?.workflowId ? { workflowId: root.workflowId, runId: root.runId ?? '' } : null,
    input: (start.input?.payloads ?? []).map(fromProto),
  }
}

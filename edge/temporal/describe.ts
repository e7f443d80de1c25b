import { GRPC, isPathSafe, type TemporalAnswer, type TemporalClient } from './client.ts'

/** Describes an execution; one whose id can't be part of a path is looked up in Visibility. */
export async function describeSafely(temporal: TemporalClient, workflowId: string): Promise<TemporalAnswer> {
  if (isPathSafe(workflowId)) return temporal.describe(workflowId)
  const answer = await temporal.list(`WorkflowId = "${workflowId.replaceAll(/["\\]/g, '\\$&')}"`, 1, '')
  const [info] = (answer.ok === true ? (answer.body.executions as unknown[] | undefined) : undefined) ?? []
  if (answer.ok !== true) return answer
  if (info === undefined) return { ok: false, code: GRPC.notFound, message: 'it is not listed', details: [] }
  return { ok: true, body: { workflowExecutionInfo: info } }
}

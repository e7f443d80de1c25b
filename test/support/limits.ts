/** Constraints as HCL, and how the coordinator reports them. */
import type { Dev } from './dev.ts'
import type { Answer, ConstraintUse, Execution } from './http.ts'
import { until } from './until.ts'

export const anywhere = 'task_queue_target = "datacenter"'
export const onNode = 'task_queue_target = "node"'
/** Waits as long as permitted for Temporal's confirmation. */
export const patient = { prefer: 'wait=30' }
/** Answered when the admission is durable. */
export const atOnce = { prefer: 'wait=0' }
/** Longer than any test. */
export const long = { input: { ms: 300_000 } }

/** A constraint block. `more`: its other lines, or its other attributes separated by `;`. */
export function limited(kind: string, more = ''): string {
  const lines = [`kind = "${kind}"`, ...more.split(';').map((line) => line.trim())].filter((line) => line !== '')
  return `constraint {\n${lines.map((line) => `  ${line}`).join('\n')}\n}`
}

/** The lines of a workflow's constraints as `GET /v1/workflows/{w}` returns them. */
export async function usesOf(dev: Dev, workflow: string): Promise<ConstraintUse[]> {
  const { body } = await dev.call<{ constraints: ConstraintUse[] }>(`/v1/workflows/${workflow}`)
  return body.constraints
}

export async function cancel(dev: Dev, id: string): Promise<Answer<unknown>> {
  return dev.call(`/v1/executions/${id}/cancel`, { body: {} })
}

/** Cancels an execution and waits until the coordinator knows that it has ended. */
export async function ended(dev: Dev, { id }: Pick<Execution, 'id'>): Promise<Execution> {
  await cancel(dev, id)
  return until(`${id} has ended`, async () => {
    const execution = await dev.execution(id)
    return execution.closed_at !== null && execution
  })
}

/** How many of each status. */
export function tally(answers: readonly Answer<unknown>[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

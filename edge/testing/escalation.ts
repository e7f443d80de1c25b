/** Executions that end in a way that is escalated. */
import { expect } from 'vitest'
import { alarm, alarmNow, execution, request, sql, start } from './coordinator.ts'
import type { FakeTemporal } from './temporal.ts'

export const onNode = (node: string) => ({ target: { node } })

/** Starts an execution that then ends like this; the ledger has seen it, and has sent what there is to send. */
export async function ended(
  temporal: FakeTemporal,
  workflow: string,
  how: Parameters<FakeTemporal['close']>[1],
  body?: object,
): Promise<string> {
  const { id } = (await start(workflow, {}, body)).body.execution
  temporal.close(id, how, 'too few servers')
  await settled()
  return id
}

/** Lets the alarm see all that has happened, and send what comes of it. */
export async function settled(): Promise<void> {
  for (let round = 0; round < 3; round++) await alarmNow()
}

/** Makes everything fall due that is to be sent again. */
export async function again(): Promise<void> {
  await sql('UPDATE escalations SET next_at = 0 WHERE next_at IS NOT NULL')
  await alarm()
}

/** The lines of `/metrics` that start with a name. */
export const metric = async (name: string): Promise<string[]> =>
  String((await request('GET', '/metrics')).body.answer)
    .split('\n')
    .filter((line) => line.startsWith(name))

/**
 * Replaces the namespace by one without an execution, which the ledger then marks as lost.
 *
 * @returns a function that restores the namespace and the execution
 */
export async function lose(temporal: FakeTemporal, id: string): Promise<() => Promise<void>> {
  const lost = temporal.executions.get(id)
  const namespace = temporal.namespaceId
  temporal.executions.delete(id)
  temporal.namespaceId = crypto.randomUUID()
  await settled()
  expect(await execution(id)).toMatchObject({ status: 'lost' })
  return async () => {
    if (lost !== undefined) temporal.executions.set(id, lost)
    temporal.namespaceId = namespace
    await settled()
  }
}

/** In the place of what a test demands and was not received. */
export function missing(): never {
  throw new Error('nothing was received')
}

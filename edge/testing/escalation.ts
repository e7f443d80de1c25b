/** Executions that end in a way that is escalated. */
import { alarm, alarmNow, sql, start } from './coordinator.ts'
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

/** In the place of what a test demands and was not received. */
export function missing(): never {
  throw new Error('nothing was received')
}

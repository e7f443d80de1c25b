/** What each test of a whole coordinator begins with, and leaves. */
import { env, listDurableObjectIds, reset, runInDurableObject } from 'cloudflare:test'
import { vi } from 'vitest'
import { datacentersOf } from '../../shared/config.ts'
import { config } from '../config.ts'
import { ledger, sendHeartbeats } from './coordinator.ts'
import { FakeTemporal } from './temporal.ts'

const MAX_RESETS = 20
/** Tables of a ledger that a trigger or an operator writes. */
const KEPT = ['executions', 'decisions', 'freezes']
/** Those of a GlobalLedger. */
const KEPT_GLOBALLY = ['reservations', 'starts']

/** A Temporal that knows nothing yet, and nodes that serve everything. */
export async function freshTemporal(): Promise<FakeTemporal> {
  const temporal = new FakeTemporal()
  temporal.install()
  await sendHeartbeats()
  return temporal
}

/** Takes back what a test stood in for, and forgets all that was stored. */
export async function cleanUp(): Promise<void> {
  vi.useRealTimers()
  vi.restoreAllMocks()
  await forgetAll()
}

/**
 * Deletes what every Durable Object stored. An alarm that ran meanwhile would create its ledger again, which would import the
 * freezes of ledgers that are not deleted yet, or report usage to a GlobalLedger that was deleted.
 *
 * @throws Error when a ledger has rows after each of several times
 */
export async function forgetAll(): Promise<void> {
  for (let resets = 0; resets < MAX_RESETS; resets++) {
    await ofEachLedger(({ storage }) => storage.deleteAlarm())
    await reset()
    const rows = await Promise.all([
      ofEachLedger((state) => rowsIn(state, KEPT)),
      ofEachGlobalLedger((state) => rowsIn(state, KEPT_GLOBALLY)),
    ])
    if (rows.flat().every((count) => count === 0)) return
  }
  throw new Error(`the ledgers have rows after each of ${MAX_RESETS} resets`)
}

function rowsIn({ storage }: DurableObjectState, tables: readonly string[]): number {
  return tables.reduce(
    (sum, table) => sum + storage.sql.exec<{ n: number }>(`SELECT count(*) n FROM ${table}`).one().n,
    0,
  )
}

/** Of those that exist: it makes none. */
async function ofEachGlobalLedger<Result>(callback: (state: DurableObjectState) => Result): Promise<Result[]> {
  const namespace = (env as unknown as Env).GLOBAL_LEDGER
  const ids = await listDurableObjectIds(namespace)
  return Promise.all(ids.map((id) => runInDurableObject(namespace.get(id), (_, state) => callback(state))))
}

function ofEachLedger<Result>(callback: (state: DurableObjectState) => Result | Promise<Result>): Promise<Result[]> {
  const datacenters = datacentersOf(config.coordinator)
  return Promise.all(datacenters.map((name) => runInDurableObject(ledger(name), (_, state) => callback(state))))
}

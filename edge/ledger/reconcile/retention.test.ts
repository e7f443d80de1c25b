import { env, reset, runInDurableObject } from 'cloudflare:test'
import { afterEach, describe, expect, it } from 'vitest'
import { firstIdAt, isExecutionId } from '../../../shared/execution-id.ts'
import type { Decision } from '../../../shared/wire.ts'
import { migrate } from '../../migrate.ts'
import { escalationMessage } from '../../notify/message.ts'
import { executionRow } from '../../testing/rows.ts'
import { Storms } from '../admission/storms.ts'
import { toWire } from '../store/execution-row.ts'
import { LEDGER_MIGRATIONS } from '../store/schema.ts'
import { LedgerStore } from '../store/store.ts'
import { forget } from './retention.ts'

afterEach(() => reset())

const NOW = Date.UTC(2026, 5, 1)
const HOUR = 3_600_000
const DAY = 24 * HOUR

/** An id as if it had been made at a time. */
function idAt(time: number, serial: number): string {
  return `${firstIdAt(time)}-7000-8000-${String(serial).padStart(12, '0')}`
}

function inStore(work: (store: LedgerStore, sql: SqlStorage) => void): Promise<void> {
  return runInDurableObject((env as unknown as Env).LEDGER.getByName('retention'), (_, { storage }) => {
    work(new LedgerStore(storage.sql), storage.sql)
  })
}

/** An execution that was admitted, started and closed at once; with a key. */
function put(store: LedgerStore, time: number, serial: number, closed = true): string {
  const id = idAt(time, serial)
  expect(isExecutionId(id)).toBe(true)
  store.executions.insert({ ...executionRow(id, 'w', 'n', time) })
  store.decisions.insert(id, decision('admitted'), 'n', time)
  store.executions.confirm(id, 'run', null, time, time)
  if (closed) store.executions.close(id, 'failed', time, null, null)
  store.keys.bind('w', 'c', String(serial), 'hash', id)
  return id
}

/** Creates an escalation for an execution that failed. */
function tell(store: LedgerStore, id: string): void {
  const row = store.executions.get(id)
  if (row === null) throw new Error(`no execution ${id}`)
  const occasion = { status: 'failed', at: NOW, validUntil: NOW, tripped: [] } as const
  store.escalations.put(id, 'failed', 'oncall', escalationMessage({ ...toWire(row), id }, null, occasion))
}

function decision(outcome: 'admitted' | 'denied', code: string | null = null): Decision {
  return {
    id: null,
    at: new Date(NOW).toISOString(),
    workflow: 'w',
    datacenter: 'dc1',
    outcome,
    code,
    caller: 'c',
    trigger: null,
    target: {},
    task_queue: 'q',
    reason: null,
    allowed_at: null,
    freeze: null,
    constraints: [],
  }
}

describe('retention', () => {
  it('rows within the longest period, or open → kept', async () => {
    await inStore((store) => {
      const ancient = put(store, NOW - 32 * DAY, 1)
      const open = put(store, NOW - 32 * DAY, 2, false)
      const counted = put(store, NOW - 30 * DAY, 3)
      for (const id of [ancient, counted]) tell(store, id)
      while (forget(store, NOW));
      expect([ancient, open, counted].map((id) => store.executions.get(id) !== null)).toEqual([false, true, true])
      expect(store.decisions.get(ancient)).toBeNull()
      expect(store.escalations.takeDue('oncall', NOW, 9, NOW).map(({ execution }) => execution)).toEqual([counted])
      expect(store.usage.of('w', null).startsAfter(NOW - 31 * DAY)).toBe(1)
      expect(store.failures.usage('w').failuresAfter(0)).toBe(1)
      // Numbering goes on, so that later windows are counted right.
      put(store, NOW, 4)
      expect(store.usage.of('w', null).startsAfter(NOW - 31 * DAY)).toBe(2)
      expect(store.usage.of('w', 'n').startsAfter(NOW - HOUR)).toBe(1)
    })
  })

  it('idempotency keys → kept a month, or two days when there are too many', async () => {
    await inStore((store) => {
      const ages = [25 * HOUR, 50 * HOUR, 30 * DAY, 32 * DAY]
      for (const [serial, age] of ages.entries()) put(store, NOW - age, serial)
      const bound = (): boolean[] => ages.map((_, serial) => store.keys.bound('w', 'c', String(serial)) !== null)
      forget(store, NOW)
      expect(bound()).toEqual([true, true, true, false])
      while (forget(store, NOW, { executions: 1, denials: 10 }));
      expect(bound()).toEqual([true, false, false, false])
    })
  })

  it('signed messages → bounded, refused when full', async () => {
    await inStore(({ messages }) => {
      expect(messages.remember('ci', 'a', 1, NOW + 1, 2)).toBe('new')
      expect(messages.remember('ci', 'b', 1, NOW + 2, 2)).toBe('new')
      expect(messages.remember('ci', 'c', 1, NOW + 3, 2)).toBe('full')
      expect(messages.remember('ci', 'a', 1, NOW + 3, 2)).toBe('replayed')
      messages.forgetExpired(NOW + 1)
      expect(messages.remember('ci', 'c', 1, NOW + 3, 2)).toBe('new')
    })
  })

  it('executions and denials → bounded, oldest deleted first, windows unaffected', async () => {
    await inStore((store) => {
      for (let serial = 0; serial < 20; serial++) put(store, NOW - (20 - serial) * 4 * HOUR, serial)
      for (let serial = 0; serial < 30; serial++) {
        store.decisions.insert(idAt(NOW - serial * 1000, serial), decision('denied', 'frozen'), null, NOW)
      }
      while (forget(store, NOW, { executions: 3, denials: 10 }));
      expect(store.executions.endedCount()).toBe(12)
      expect(store.decisions.deniedCount()).toBe(10)
      expect(store.decisions.get(idAt(NOW, 0))).not.toBeNull()
      expect(store.usage.of('w', null).startsAfter(NOW - 10 * DAY)).toBe(20)
    })
  })
})

describe('repeated denials', () => {
  it('many in a minute → recorded separately at first, then counted', () => {
    const storms = new Storms()
    const standing = new Set<string>()
    let recorded = 0
    for (let serial = 0; serial < 5000; serial++) {
      const stands = storms.recordFor({ ...decision('denied', 'frozen'), id: String(serial) }, 'n', NOW + serial)
      if (stands === null) recorded += 1
      else standing.add(stands)
    }
    expect(recorded).toBe(1000)
    expect([...standing]).toEqual(['999'])
    expect(storms.takeUnwritten()).toEqual([{ id: '999', count: 4000, lastAt: NOW + 4999 }])
    expect(storms.hasUnwritten).toBe(false)
    expect(storms.recordFor({ ...decision('denied', 'frozen'), id: 'x' }, 'n', NOW + 61_000)).toBeNull()
  })

  it('each for another node → bounded too', () => {
    const storms = new Storms()
    let recorded = 0
    for (let serial = 0; serial < 20_000; serial++) {
      const denied = { ...decision('denied', 'no_worker'), id: String(serial) }
      if (storms.recordFor(denied, `n-${serial}`, NOW) === null) recorded += 1
    }
    expect(recorded).toBeLessThanOrEqual(5001)
    expect(storms.takeUnwritten().reduce((sum, { count }) => sum + count, 0)).toBe(20_000 - recorded)
  })

  it('counted → shown on their decision, and in the counters', async () => {
    await inStore((store) => {
      const id = idAt(NOW, 1)
      store.decisions.insert(id, { ...decision('denied', 'frozen'), id }, null, NOW)
      store.decisions.repeat(id, 41, NOW + 5000)
      expect(store.decisions.get(id)).toMatchObject({
        repeated: { count: 41, until: new Date(NOW + 5000).toISOString() },
      })
      expect(store.metrics(NOW).decisions).toEqual([{ workflow: 'w', outcome: 'denied', code: 'frozen', count: 42 }])
    })
  })
})

it('migration: tables of the first version → no window, open execution or key lost', async () => {
  const stub = (env as unknown as Env).ROSTER.getByName('old-tables')
  await runInDurableObject(stub, (_, { storage }) => {
    const { sql } = storage
    sql.exec('DROP TABLE known_nodes')
    sql.exec('DELETE FROM schema_version')
    migrate(storage, LEDGER_MIGRATIONS.slice(0, 1))
    const insert = `INSERT INTO executions (id, workflow, node, target, task_queue, forward, phase, status, admitted_at,
      valid_until, attempts, maybe_sent, next_at, started_at, closed_at) VALUES (?, 'w', 'n', '{}', 'q',
      '{"namespace":"default","datacenter":"dc1"}', ?, ?, 1, 2, 1, 1, ?, ?, ?)`
    sql.exec(insert, 'running', 'running', 'running', 9, 100, null)
    sql.exec(insert, 'done', 'closed', 'completed', null, 200, 300)
    sql.exec(insert, 'pending', 'starting', 'pending', 9, null, null)
    for (const [number, at] of [
      [1, 100],
      [2, 200],
    ] as const) {
      for (const scope of ['w', 'w@n']) {
        sql.exec('INSERT INTO starts (scope, number, at) VALUES (?, ?, ?)', scope, number, at)
      }
    }
    sql.exec("INSERT INTO idempotency_keys VALUES ('w', 'c', 'k', 'hash', 'running')")
    sql.exec(
      "INSERT INTO decisions VALUES ('running', 'w', 'n', 'admitted', NULL, 'c', 1, ?)",
      JSON.stringify(decision('admitted')),
    )
    migrate(storage, LEDGER_MIGRATIONS)
    const store = new LedgerStore(sql)
    const use = store.usage.of('w', 'n')
    expect([use.open, use.pending, use.startsAfter(0), use.startsAfter(150)]).toEqual([2, 1, 2, 1])
    expect(store.executions.get('running')).toMatchObject({
      workflowId: 'running',
      admitted: true,
      limits: [],
      forward: { receiver: null },
    })
    expect(store.keys.bound('w', 'c', 'k')).toMatchObject({ execution: 'running' })
    expect(store.facts.get('imported')).toBe('1')
    expect(store.starts.from('w', 0, 0, 10)).toMatchObject([{ number: 1, at: 100 }, { number: 2 }])
    expect(store.executions.list({ limit: 10 }).entries).toHaveLength(3)
    expect(store.usage.openIds('w', 'n', 9)).toEqual(['running'])
  })
})

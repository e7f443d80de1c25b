import { env, reset, runInDurableObject } from 'cloudflare:test'
import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { decide } from '../../../shared/constraints.ts'
import type { ResolvedConstraint } from '../../../shared/workflows.ts'
import { migrate } from '../../migrate.ts'
import { executionRow } from '../../testing/rows.ts'
import { judgeConstraints } from '../admission/judge.ts'
import { LEDGER_MIGRATIONS } from './schema.ts'
import { LedgerStore } from './store.ts'

afterEach(() => reset())

const WORKFLOWS = ['a', 'b']
const NODES = ['n1', 'n2', null]
const NOTHING_ELSE = { exclusive: [], fleets: [], datacenters: ['dc1'] }

/** What happens to a ledger's rows, at a clock that may also step back. */
type Event =
  | { kind: 'admit'; workflow: number; node: number }
  | { kind: 'confirm' | 'close'; which: number }
  | { kind: 'clock'; step: number }

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant('admit' as const), workflow: fc.nat(1), node: fc.nat(2) }),
  fc.record({ kind: fc.constantFrom('confirm' as const, 'close' as const), which: fc.nat(1000) }),
  fc.record({ kind: fc.constant('clock' as const), step: fc.integer({ min: -40, max: 60 }) }),
)

/** The same rows, counted one by one. */
class Model {
  readonly rows: { id: string; workflow: string; node: string | null; started: number | null; closed: boolean }[] = []
  readonly #newest = new Map<string, number>()

  confirm(row: Model['rows'][number], now: number): void {
    if (row.started !== null || row.closed) return
    // A start is never counted earlier than one that was confirmed before it.
    row.started = Math.max(now, this.#newest.get(row.workflow) ?? 0)
    this.#newest.set(row.workflow, row.started)
  }

  in(workflow: string, node: string | null): Model['rows'] {
    return this.rows.filter((row) => row.workflow === workflow && (node === null || row.node === node))
  }
}

it('store: any events in any order → counts as a naive model', { timeout: 60_000 }, async () => {
  const stub = (env as unknown as Env).LEDGER.getByName('property')
  await runInDurableObject(stub, (_, state) => {
    const property = fc.property(
      fc.array(event, { maxLength: 60 }),
      fc.array(fc.integer({ min: -50, max: 3000 })),
      (events, times) => {
        for (const table of ['executions', 'starts', 'closed_counts']) state.storage.sql.exec(`DELETE FROM ${table}`)
        const store = new LedgerStore(state.storage.sql)
        const model = new Model()
        play(events, store, model)
        for (const workflow of WORKFLOWS) compare(store, model, workflow, null, times)
      },
    )
    fc.assert(property, { numRuns: 150 })
  })
})

function play(events: readonly Event[], store: LedgerStore, model: Model, begin = 1000): void {
  let now = begin
  for (const happening of events) {
    if (happening.kind === 'clock') now += happening.step
    else if (happening.kind === 'admit') {
      const workflow = WORKFLOWS[happening.workflow] ?? ''
      const node = NODES[happening.node] ?? null
      const id = String(model.rows.length).padStart(4, '0')
      model.rows.push({ id, workflow, node, started: null, closed: false })
      store.executions.insert(executionRow(id, workflow, node, now))
    } else {
      const target = model.rows[happening.which % Math.max(model.rows.length, 1)]
      if (target === undefined) continue
      if (happening.kind === 'confirm') {
        model.confirm(target, now)
        store.executions.confirm(target.id, 'run', null, now, now)
      } else {
        target.closed = true
        store.executions.close(target.id, 'completed', now, null, null)
      }
    }
  }
}

function compare(
  store: LedgerStore,
  model: Model,
  workflow: string,
  node: string | null,
  times: readonly number[],
): void {
  const rows = model.in(workflow, node)
  const use = store.usage.of(workflow, node)
  expect(use.open).toBe(rows.filter((candidate) => !candidate.closed).length)
  expect(use.pending).toBe(rows.filter((candidate) => !candidate.closed && candidate.started === null).length)
  const starts = rows.flatMap((candidate) => candidate.started ?? []).sort((a, b) => a - b)
  for (const time of times) {
    const after = starts.filter((start) => start > time)
    expect(use.startsAfter(time)).toBe(after.length)
    for (const index of after.keys()) expect(use.startAfter(time, index)).toBe(after[index])
  }
}

it('store: limits, periods and clock change → admits as a naive model', {
  timeout: 60_000,
}, async () => {
  const stub = (env as unknown as Env).LEDGER.getByName('changing')
  const limit = fc.record({ value: fc.nat(4), period: fc.constantFrom(5, 50, 500, 5000), concurrency: fc.nat(3) })
  await runInDurableObject(stub, (_, state) => {
    const property = fc.property(fc.array(fc.tuple(event, limit), { maxLength: 60 }), (steps) => {
      for (const table of ['executions', 'starts', 'closed_counts']) state.storage.sql.exec(`DELETE FROM ${table}`)
      const store = new LedgerStore(state.storage.sql)
      const model = new Model()
      let now = 1000
      for (const [next, { value, period, concurrency }] of steps) {
        if (next.kind === 'clock') now += next.step
        const constraints: ResolvedConstraint[] = [
          { kind: 'maxExecution', value, period, is_global: false, isCentral: false },
          { kind: 'concurrency', value: concurrency, is_global: false, isCentral: false },
        ]
        const counted = { workflow: 'a', datacenter: 'dc1', node: null, constraints, ...NOTHING_ELSE }
        const { allowed } = decide(judgeConstraints(store, counted, [], now, now), now)
        const rows = model.in('a', null)
        const occupying = rows.filter(({ started, closed }) => (started === null ? !closed : started > now - period))
        const naive = occupying.length < value && rows.filter(({ closed }) => !closed).length < concurrency
        expect(allowed).toBe(naive)
        if (next.kind !== 'admit' || allowed) play([next], store, model, now)
      }
    })
    fc.assert(property, { numRuns: 100 })
  })
})

it('store: per node → separate counts', async () => {
  await runInDurableObject((env as unknown as Env).LEDGER.getByName('nodes'), (_, state) => {
    const store = new LedgerStore(state.storage.sql)
    ;[
      ['1', 'n1'],
      ['2', 'n2'],
      ['3', 'n1'],
      ['4', null],
    ].forEach(([id, node], index) => {
      store.executions.insert(executionRow(String(id), 'a', node ?? null, 1))
      store.executions.confirm(String(id), 'run', null, 10 + index, 1)
    })
    expect(store.usage.of('a', null).startsAfter(0)).toBe(4)
    expect(store.usage.of('a', 'n1').startsAfter(0)).toBe(2)
    expect(store.usage.of('a', 'n1').startAfter(10, 0)).toBe(12)
    expect(store.usage.of('a', 'n2').startsAfter(11)).toBe(0)
    expect(store.usage.nodesInUse('a', 0)).toEqual(['n1', 'n2'])
  })
})

it('migration: run twice → once; newer version → refused', async () => {
  await runInDurableObject((env as unknown as Env).LEDGER.getByName('schema'), (_, { storage }) => {
    migrate(storage, LEDGER_MIGRATIONS)
    storage.sql.exec('UPDATE schema_version SET version = 99')
    expect(() => migrate(storage, LEDGER_MIGRATIONS)).toThrow('version 99')
  })
})

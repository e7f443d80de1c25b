import { env, runInDurableObject } from 'cloudflare:test'
import { v7 as uuidv7 } from 'uuid'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SignalEpisode, SignalSummary } from '../../shared/wire.ts'
import { LedgerObject } from '../ledger/ledger.ts'
import { alarmNow, request, start } from '../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../testing/fresh.ts'
import type { FakeTemporal } from '../testing/temporal.ts'
import { episodeOf } from '../trigger/episodes.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(async () => {
  vi.restoreAllMocks()
  await cleanUp()
})

const MINUTE = 60_000
const ago = (minutes: number): string => new Date(Date.now() - minutes * MINUTE).toISOString()

function episode(more: Partial<SignalEpisode> = {}): SignalEpisode {
  return {
    source: 'prometheus',
    name: 'sick',
    workflow: 'free',
    fingerprint: 'f',
    began: ago(30),
    ended: null,
    admitted: 0,
    denied: 0,
    code: null,
    executions: [],
    ...more,
  }
}

async function report(...episodes: unknown[]): Promise<number> {
  return (await request('POST', '/v1/signals', { episodes })).status
}

async function signals(query = ''): Promise<SignalSummary[]> {
  const { status, body } = await request('GET', `/v1/signals${query}`)
  expect(status).toBe(200)
  return body['items'] as SignalSummary[]
}

test("signals: episode reported while it lasts → its execution's end asked of the ledger", async () => {
  const began = ago(30)
  expect(await report(episode({ began }))).toBe(204)
  expect(await signals()).toMatchObject([
    { source: 'prometheus', name: 'sick', windows: { '1d': { fired: 1, open: 1, never_acted_on: 1 } } },
  ])
  const { body } = await start('free')
  const executions = [body.execution.id]
  await report(episode({ began, admitted: 1, executions }))
  expect(await signals()).toMatchObject([{ windows: { '1d': { admitted: 1, helped: 0, never_acted_on: 0 } } }])
  temporal.close(body.execution.id, 'COMPLETED')
  await alarmNow()
  await report(episode({ began, admitted: 1, executions, ended: ago(20) }))
  expect(await signals()).toMatchObject([{ windows: { '1d': { fired: 1, helped: 1, open: 0 }, '30d': { helped: 1 } } }])
})

describe('repeated report', () => {
  test('same episode → counted once', async () => {
    const one = episode({ denied: 1, code: 'frozen' })
    await report(one, one)
    await report(one)
    expect(await signals()).toMatchObject([{ windows: { '1d': { fired: 1, denied: 1 } } }])
  })

  test('late → does not reopen an ended episode', async () => {
    const began = ago(30)
    await report(episode({ began, ended: ago(10), admitted: 1 }))
    await report(episode({ began }))
    expect(await signals()).toMatchObject([{ windows: { '1d': { admitted: 1, open: 0 } } }])
  })
})

describe('Alertmanager episodes', () => {
  const tell = (status: string, more: object = {}) =>
    request('POST', '/v1/triggers/alertmanager', {
      version: '4',
      alerts: [
        {
          status,
          labels: { alertname: 'Sick', remediation: 'free', node: 'web-1' },
          startsAt: ago(30),
          fingerprint: 'c0ffee',
          ...more,
        },
      ],
    })

  test('alert healed → began and ended', async () => {
    const startsAt = ago(30)
    const { body } = await tell('firing', { startsAt })
    const [item] = body['items'] as { execution: string }[]
    await vi.waitFor(async () =>
      expect(await signals()).toMatchObject([
        {
          source: 'alertmanager',
          name: 'Sick',
          workflow: 'free',
          windows: { '1d': { fired: 1, admitted: 1, open: 1 } },
        },
      ]),
    )
    temporal.close(item?.execution ?? '', 'COMPLETED')
    await alarmNow()
    expect((await tell('resolved', { startsAt, endsAt: ago(5) })).status).toBe(200)
    await vi.waitFor(async () =>
      expect(await signals()).toMatchObject([{ windows: { '1d': { fired: 1, admitted: 1, helped: 1, open: 0 } } }]),
    )
  })

  test('alert refused, however often → one episode', async () => {
    const labels = { alertname: 'Sick', remediation: 'none-such' }
    const startsAt = ago(30)
    for (let time = 0; time < 3; time += 1) expect((await tell('firing', { labels, startsAt })).status).toBe(200)
    await vi.waitFor(async () =>
      expect(await signals()).toMatchObject([
        { workflow: 'none-such', windows: { '1d': { fired: 1, denied: 1, never_acted_on: 1 } } },
      ]),
    )
  })

  test('end without a beginning → an episode too', async () => {
    await tell('resolved', { endsAt: ago(5) })
    await vi.waitFor(async () =>
      expect(await signals()).toMatchObject([{ windows: { '1d': { fired: 1, never_acted_on: 1, open: 0 } } }]),
    )
  })
})

test('filters', async () => {
  await report(
    episode(),
    episode({ name: 'other' }),
    episode({ source: 'log' }),
    episode({ workflow: 'w2', fingerprint: 'g' }),
  )
  expect((await signals('?name=other')).length).toBe(1)
  expect((await signals('?source=log')).length).toBe(1)
  expect((await signals('?workflow=w2')).length).toBe(1)
  expect((await signals('?name=none')).length).toBe(0)
  expect((await request('GET', '/v1/signals?nmae=x')).status).toBe(400)
})

test.each([
  ['no list', {}],
  ['an unknown field', { episodes: [{ ...episode(), more: 1 }] }],
  ['a bad time', { episodes: [episode({ began: 'yesterday' })] }],
  ['a negative count', { episodes: [episode({ denied: -1 })] }],
  ['what is no id', { episodes: [episode({ executions: ['../x'] })] }],
])('%s → refused', async (_, body) => {
  expect((await request('POST', '/v1/signals', body)).status).toBe(400)
})

test('signals: a month old → deleted with its executions', async () => {
  const id = '019a0000-0000-7000-8000-000000000001'
  await report(episode({ began: ago(32 * 24 * 60), ended: ago(32 * 24 * 60 - 5), admitted: 1, executions: [id] }))
  await report(episode())
  const left = await runInDurableObject((env as unknown as Env).SIGNALS.getByName('signals'), (_, { storage }) => [
    storage.sql.exec<{ count: number }>('SELECT count(*) AS count FROM episodes').one().count,
    storage.sql.exec<{ count: number }>('SELECT count(*) AS count FROM executions').one().count,
  ])
  expect(left).toEqual([1, 0])
})

describe('hostile reports', () => {
  const inside = <Result>(look: (sql: SqlStorage) => Result): Promise<Result> =>
    runInDurableObject((env as unknown as Env).SIGNALS.getByName('signals'), (_, { storage }) => look(storage.sql))
  const countOf = (table: string): Promise<number> =>
    inside((sql) => sql.exec<{ count: number }>(`SELECT count(*) AS count FROM ${table}`).one().count)

  test('many executions → ledgers asked for few, and not again for unknown ones', async () => {
    const asked: number[] = []
    vi.spyOn(LedgerObject.prototype, 'statuses').mockImplementation((ids) => {
      asked.push(ids.length)
      return {}
    })
    const ids = Array.from({ length: 1500 }, () => uuidv7())
    for (let index = 0; index < 150; index += 50) {
      const fifty = Array.from({ length: 50 }, (_, more) =>
        episode({ fingerprint: `f${index + more}`, executions: ids.slice((index + more) * 10).slice(0, 10) }),
      )
      expect(await report(...fifty)).toBe(204)
    }
    for (let time = 0; time < 3; time += 1) await signals()
    // Of each of the two datacenters.
    expect(asked).toEqual([1000, 1000, 500, 500])
  })

  test('invalid execution ids → nothing revealed', async () => {
    await report(episode({ executions: [crypto.randomUUID()] }))
    expect(await countOf('executions')).toBe(0)
    expect(await signals()).toHaveLength(1)
  })

  test('many episodes and executions → bounded', async () => {
    const one = episode()
    await report(one)
    await inside((sql) =>
      sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100010)
         INSERT INTO executions (id, at) SELECT 'x' || i, ? + i FROM n`,
        Date.parse(one.began),
      ),
    )
    await report(one)
    expect(await countOf('executions')).toBe(100_000)
  })

  test('episodes in the future → refused', async () => {
    expect(await report(episode({ began: ago(-6), fingerprint: 'later' }), episode())).toBe(204)
    expect(await countOf('episodes')).toBe(1)
  })

  test('a hundred thousand names → answered with the newest thousand', {
    timeout: 60_000,
  }, async () => {
    await report(episode({ began: ago(1) }))
    await inside((sql) =>
      sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99990)
         INSERT INTO episodes SELECT 'prometheus', printf('%0250d', i), printf('%0250d', i), ?, 'free', NULL, 1, 0, NULL, '[]' FROM n`,
        Date.parse(ago(60)),
      ),
    )
    const all = await signals()
    expect(all).toHaveLength(1000)
    expect(all[0]).toMatchObject({ name: 'sick' })
    // Nobody can have them summed up again and again.
    const [sums, again, others] = await runInDurableObject(
      (env as unknown as Env).SIGNALS.getByName('signals'),
      (object) => [{}, {}, { name: 'sick' }].map((filter) => object.summaries(filter)),
    )
    expect(again).toBe(sums)
    expect(others).toHaveLength(1)
  })
})

test('long names of events → cut', () => {
  const facts = { source: 's', name: 'n'.repeat(300), workflow: 'w', fingerprint: 'f'.repeat(300), began: 0, ended: 0 }
  const { name, fingerprint } = episodeOf(facts, undefined)
  expect([name.length, fingerprint.length]).toEqual([255, 255])
})

/**
 * The whole protocol over two datacenters' ledgers and their GlobalLedgers, with crashes, lost, held and late messages
 * between any two steps, judged by what Temporal has seen alone.
 */
import { abortAllDurableObjects } from 'cloudflare:test'
import fc from 'fast-check'
import { afterEach, expect, it, vi } from 'vitest'
import { type Answer, alarmNow, request, sendHeartbeats, start } from '../testing/coordinator.ts'
import { cleanUp } from '../testing/fresh.ts'
import { failing } from '../testing/global-ledger.ts'
import { FakeTemporal, type Fault } from '../testing/temporal.ts'

const HOUR = 3_600_000
/** Random histories; many more are worth their time after a change of the protocol. */
const RUNS = 25
/** What the test's config says: starts within an hour, or open at once; in one datacenter, or in all. */
const LIMITS = [
  { workflow: 'both', kind: 'starts', value: 2, everywhere: false },
  { workflow: 'both', kind: 'starts', value: 3, everywhere: true },
  { workflow: 'global', kind: 'starts', value: 1, everywhere: true },
  { workflow: 'everywhere-once-open', kind: 'open', value: 1, everywhere: true },
  { workflow: 'single', kind: 'open', value: 1, everywhere: false },
] as const
const WORKFLOWS = ['both', 'global', 'everywhere-once-open', 'single'] as const
const NODES = { dc1: 'web-1', dc2: 'web-9' } as const
const DATACENTERS = ['dc1', 'dc2'] as const

type Command =
  | {
      kind: 'trigger'
      workflow: (typeof WORKFLOWS)[number]
      datacenter: keyof typeof NODES
      times: number
      key: number
    }
  | { kind: 'alarm'; datacenter: keyof typeof NODES }
  | { kind: 'crash' }
  | { kind: 'fault'; fault: Fault & string }
  | { kind: 'global'; method: 'reserve' | 'report'; before: boolean }
  | { kind: 'deliver' | 'close' | 'cancel'; which: number }
  | { kind: 'time'; ms: number }

const datacenter = fc.constantFrom(...DATACENTERS)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('trigger' as const),
      workflow: fc.constantFrom(...WORKFLOWS),
      datacenter,
      times: fc.integer({ min: 1, max: 4 }),
      key: fc.nat(5),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('alarm' as const), datacenter }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'crash' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      fault: fc.constantFrom('none' as const, 'none', 'unreachable', 'reply lost', 'held', 'proxy 503'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('global' as const),
      method: fc.constantFrom('reserve' as const, 'report'),
      before: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('deliver' as const, 'close', 'cancel'), which: fc.nat(50) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(1000, 20_000, 11 * 60_000, 30 * 60_000),
    }),
  },
)

afterEach(cleanUp)

it('reservations: any histories with crashes and lost messages → limits hold, no answer lost or doubled', {
  timeout: 170_000,
}, async () => {
  const runs = fc.asyncProperty(fc.array(command, { minLength: 8, maxLength: 40 }), async (commands) => {
    const world = await World.begin()
    try {
      for (const next of commands) {
        await world.run(next)
        world.judge()
      }
      await world.heal()
      world.judge()
      await world.judgeAnswers()
    } finally {
      await world.end()
    }
  })
  await fc.assert(runs, { numRuns: RUNS, endOnFailure: true })
})

/** Ledgers, Temporal and time, and what has been answered. */
class World {
  readonly temporal = new FakeTemporal()
  readonly answered = new Map<string, string>()
  readonly keys = new Map<string, Set<string>>()
  readonly #failing: { mockRestore(): void }[] = []
  #beatAt = 0

  static async begin(): Promise<World> {
    vi.useFakeTimers({ toFake: ['Date'] })
    vi.setSystemTime(Date.now() + HOUR)
    const world = new World()
    world.temporal.install()
    await world.#sendHeartbeats()
    return world
  }

  async run(next: Command): Promise<void> {
    switch (next.kind) {
      case 'trigger': {
        await this.#sendHeartbeats()
        const asked = Array.from({ length: next.times }, () => this.#trigger(next))
        await Promise.all(asked)
        return
      }
      case 'alarm':
        return alarmNow(next.datacenter)
      case 'crash':
        this.#beatAt = 0
        return abortAllDurableObjects()
      case 'fault':
        this.temporal.fault = next.fault
        return
      case 'global':
        this.#failing.push(failing(next.method, { before: next.before, times: 1 }))
        return
      case 'deliver':
        if (this.temporal.heldCount > 0) this.temporal.deliver(next.which % this.temporal.heldCount)
        return
      case 'close': {
        const open = this.#runs().filter(({ closed }) => closed === null)
        const run = open[next.which % Math.max(open.length, 1)]
        if (run !== undefined) this.temporal.close(run.id, 'COMPLETED')
        return
      }
      case 'cancel': {
        const ids = [...this.answered.keys()]
        const id = ids[next.which % Math.max(ids.length, 1)]
        if (id !== undefined) await request('POST', `/v1/executions/${id}/cancel`)
        return
      }
      case 'time':
        vi.setSystemTime(Date.now() + next.ms)
    }
  }

  /** I1: at no time did Temporal see more than a limit permits. */
  judge(): void {
    const runs = this.#runs()
    for (const { workflow, kind, value, everywhere } of LIMITS) {
      for (const scope of everywhere ? [null] : DATACENTERS) {
        const counted = runs.filter((run) => run.workflow === workflow && (scope === null || run.datacenter === scope))
        for (const run of counted) {
          const together = counted.filter((other) =>
            kind === 'starts'
              ? other.started >= run.started && other.started < run.started + HOUR
              : other.started <= run.started && (other.closed === null || other.closed > run.started),
          )
          if (together.length <= value) continue
          throw new Error(`too many: ${JSON.stringify({ workflow, kind, value, scope, together })}`)
        }
      }
    }
  }

  /** I2: what was answered runs exactly once, or there is a record of why it doesn't. */
  async judgeAnswers(): Promise<void> {
    for (const [id, workflow] of this.answered) {
      const { status, body } = await request('GET', `/v1/executions/${id}`)
      expect({ id, status }).toEqual({ id, status: 200 })
      const type = this.temporal.executions.get(id)?.type
      if (body.started_at === null) {
        expect(body).toMatchObject({ status: expect.stringMatching(/^(canceled|expired|failed)$/) })
        expect(type ?? 'resile-void').toBe('resile-void')
      } else expect(type).toBe(camel(workflow))
    }
    for (const [id, { type }] of this.temporal.executions) {
      if (type === 'resile-void') continue
      expect((await request('GET', `/v1/decisions/${id}`)).body).toMatchObject({ id, outcome: 'admitted' })
    }
    for (const ids of this.keys.values()) expect(ids.size).toBe(1)
  }

  /** Everything works again, what was held arrives, and time passes until nothing is pending. */
  async heal(): Promise<void> {
    this.temporal.fault = 'none'
    for (const spy of this.#failing.splice(0)) spy.mockRestore()
    while (this.temporal.heldCount > 0) this.temporal.deliver(0)
    this.#beatAt = 0
    for (let round = 0; round < 6; round++) {
      vi.setSystemTime(Date.now() + 10_000)
      await this.#sendHeartbeats()
      for (const datacenter of DATACENTERS) await alarmNow(datacenter)
    }
    const { body } = await request('GET', '/metrics')
    expect(String(body.answer)).toContain('resile_outbox_pending 0')
    expect(String(body.answer)).toContain('resile_settlements_pending 0')
  }

  async end(): Promise<void> {
    await cleanUp()
  }

  async #trigger({ workflow, datacenter, key }: Command & { kind: 'trigger' }): Promise<void> {
    const headers = { prefer: 'wait=0', ...(key > 2 ? {} : { 'idempotency-key': `k${key}` }) }
    const answer = await start(workflow, headers, { target: { node: NODES[datacenter] } }).catch(() => null)
    if (answer !== null) this.#note(answer, workflow, key > 2 ? null : `${workflow} ${datacenter} ${key}`)
  }

  #note({ status, body }: Answer, workflow: string, key: string | null): void {
    if (status > 202) return
    this.answered.set(body.execution.id, workflow)
    if (key !== null) this.keys.set(key, (this.keys.get(key) ?? new Set()).add(body.execution.id))
  }

  #runs(): { id: string; workflow: string; datacenter: string; started: number; closed: number | null }[] {
    return [...this.temporal.executions].flatMap(([id, { type, body, startTime, closeTime }]) => {
      const workflow = WORKFLOWS.find((name) => camel(name) === type)
      const datacenter = (body.taskQueue as { name: string }).name
      return workflow === undefined ? [] : [{ id, workflow, datacenter, started: startTime, closed: closeTime ?? null }]
    })
  }

  async #sendHeartbeats(): Promise<void> {
    if (Date.now() - this.#beatAt < 10_000) return
    this.#beatAt = Date.now()
    await sendHeartbeats([NODES.dc1])
    await sendHeartbeats([NODES.dc2], 'dc2')
  }
}

function camel(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

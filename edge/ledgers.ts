/** Finds the coordinator's Durable Objects and asks them. */
import { type Config, datacentersOf } from '../shared/config.ts'
import type { Page } from '../shared/wire.ts'
import { ProblemError } from './http/problem.ts'
import type { LedgerPage } from './ledger/types.ts'

type LedgerStub = ReturnType<Env['LEDGER']['getByName']>

/** The Durable Objects of a coordinator. Each call returns a new stub, since one that threw may stay broken. */
export class Ledgers {
  /** The datacenters that the coordinator serves, in the order of the config. */
  readonly datacenters: readonly string[]
  readonly #env: Env

  constructor(env: Env, { coordinator }: Config) {
    this.#env = env
    this.datacenters = datacentersOf(coordinator)
  }

  /** The ledger of a datacenter. */
  of(datacenter: string): LedgerStub {
    return this.#env.LEDGER.getByName(datacenter)
  }

  /** The ledger of the first datacenter, which keeps what belongs to no datacenter. */
  first(): LedgerStub {
    return this.of(this.datacenters[0] ?? '')
  }

  /** The ledger that counts a workflow over all datacenters. */
  global(workflow: string): ReturnType<Env['GLOBAL_LEDGER']['getByName']> {
    return this.#env.GLOBAL_LEDGER.getByName(workflow)
  }

  /** The roster of a datacenter's nodes. */
  roster(datacenter: string): ReturnType<Env['ROSTER']['getByName']> {
    return this.#env.ROSTER.getByName(datacenter)
  }

  /** The store of signals' episodes. */
  signals(): ReturnType<Env['SIGNALS']['getByName']> {
    return this.#env.SIGNALS.getByName('signals')
  }

  /** Asks every datacenter in parallel; answers come in the order of the config. */
  every<Answer>(ask: (datacenter: string) => Promise<Answer>): Promise<Answer[]> {
    return Promise.all(this.datacenters.map(ask))
  }

  /** The first answer, in the order of the config, that isn't null. */
  async any<Answer>(
    ask: (datacenter: string) => Promise<Answer | null>,
  ): Promise<{ datacenter: string; answer: Answer } | null> {
    const answers = await this.every(async (datacenter) => ({ datacenter, answer: await ask(datacenter) }))
    for (const { datacenter, answer } of answers) {
      if (answer !== null) return { datacenter, answer }
    }
    return null
  }

  /**
   * The one thing asked for, in whichever datacenter it is.
   *
   * @param isValid whether its id or name is well-formed; nothing else is looked for
   * @throws ProblemError `not_found`
   */
  async find<Thing>(
    isValid: boolean,
    thing: string,
    ask: (datacenter: string) => Promise<Thing | null>,
  ): Promise<Thing> {
    const found = isValid ? await orUnavailable(() => this.any(ask)) : null
    if (found === null) throw new ProblemError('not_found', `there is no such ${thing}`)
    return found.answer
  }
}

/** Merges pages of several ledgers, each newest first, into one. Cursors are the items' keys. */
export function mergePages<Item>(pages: readonly LedgerPage<Item>[], limit: number): Page<Item> {
  // Where a ledger stopped it may have more: nothing older can be shown before the rest is asked for.
  const complete =
    pages
      .map(({ entries, more }) => (more ? (entries.at(-1)?.key ?? '') : ''))
      .sort()
      .at(-1) ?? ''
  const merged = pages.flatMap(({ entries }) => entries).sort((a, b) => (a.key < b.key ? 1 : -1))
  const page = merged.filter(({ key }) => key >= complete).slice(0, limit)
  const older = page.length < merged.length || pages.some(({ more }) => more)
  const last = page.at(-1)
  return { items: page.map(({ item }) => item), next_cursor: older && last !== undefined ? last.key : null }
}

/**
 * Calls a Durable Object; a fault of it becomes `ledger_unavailable`. Whether a trigger that failed this way was admitted
 * is unknown: the caller can ask for the decision by its id, or resend the trigger with the same `Idempotency-Key`.
 *
 * @param decision the decision whose outcome is unknown when the call fails
 */
export async function orUnavailable<Answer>(call: () => Promise<Answer>, decision?: { id: string }): Promise<Answer> {
  try {
    return await call()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ProblemError(
      'ledger_unavailable',
      `the ledger did not answer: ${message}`,
      decision === undefined ? {} : { decision },
    )
  }
}

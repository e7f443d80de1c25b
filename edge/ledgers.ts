/** The Durable Objects of each datacenter, and questions that go to all of them. */
import { type Config, datacentersOf } from '../shared/config.ts'
import type { Page } from '../shared/wire.ts'
import type { Env } from './env.ts'
import type { GlobalLedger } from './global-ledger/global-ledger.ts'
import { ProblemError } from './http/problem.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { LedgerPage } from './ledger/types.ts'
import type { Roster } from './roster/roster.ts'
import type { Signals } from './signals/signals.ts'

/** The ledger of a datacenter; a new stub each time, since one that threw may stay broken. */
export function ledgerOf(env: Env, datacenter: string): DurableObjectStub<Ledger> {
  return env.LEDGER.getByName(datacenter)
}

/** The ledger of the coordinator's first datacenter, which keeps what belongs to no datacenter. */
export function firstLedger(env: Env, { coordinator }: Config): DurableObjectStub<Ledger> {
  return ledgerOf(env, datacentersOf(coordinator)[0] ?? '')
}

/** The ledger that counts a workflow over all datacenters. */
export function globalLedgerOf(env: Env, workflow: string): DurableObjectStub<GlobalLedger> {
  return env.GLOBAL_LEDGER.getByName(workflow)
}

/** The roster of a datacenter. */
export function rosterOf(env: Env, datacenter: string): DurableObjectStub<Roster> {
  return env.ROSTER.getByName(datacenter)
}

/** What is known of signals. */
export function signalsOf(env: Env): DurableObjectStub<Signals> {
  return env.SIGNALS.getByName('signals')
}

/** Asks something of every datacenter, in the order of the config. */
export function everyDatacenter<Answer>(
  config: Config,
  ask: (datacenter: string) => Promise<Answer>,
): Promise<Answer[]> {
  return Promise.all(datacentersOf(config.coordinator).map(ask))
}

/** The first answer that isn't null, of all datacenters. */
export async function anyDatacenter<Answer>(
  config: Config,
  ask: (datacenter: string) => Promise<Answer | null>,
): Promise<{ datacenter: string; answer: Answer } | null> {
  const answers = await everyDatacenter(config, async (datacenter) => ({ datacenter, answer: await ask(datacenter) }))
  for (const { datacenter, answer } of answers) {
    if (answer !== null) return { datacenter, answer }
  }
  return null
}

/** One page of a list that lies in several ledgers, newest first. Each gave its own newest; cursors are their keys. */
export function mergePages<Item>(pages: readonly LedgerPage<Item>[], limit: number): Page<Item> {
  // Where a ledger stopped, it may have more: nothing older than that can be shown before the rest is asked for.
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
 * The one thing asked for, wherever it lies.
 *
 * @param known whether its id or name can be one at all; what can't is not looked for
 * @throws ProblemError `not_found`
 */
export async function findOrRefuse<Thing>(
  config: Config,
  known: boolean,
  thing: string,
  ask: (datacenter: string) => Promise<Thing | null>,
): Promise<Thing> {
  const found = known ? await orUnavailable(() => anyDatacenter(config, ask)) : null
  if (found === null) throw new ProblemError('not_found', `there is no such ${thing}`)
  return found.answer
}

/**
 * Runs a call to a ledger or roster; a fault of theirs becomes `ledger_unavailable`. Whether a trigger that failed this
 * way was admitted is not known: the caller can ask for the decision by its id, or send the trigger again with the same
 * `Idempotency-Key`.
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

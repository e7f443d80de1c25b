/** A GlobalLedger's rows: every SQL statement on them, and nothing that decides. */
import type { ScopeUsage } from '../../shared/constraints.ts'
import { StartStore } from '../ledger/store/starts.ts'
import type { HandIn, UsageReport } from '../ledger/types.ts'

/** The rows that one datacenter handed over. */
export interface HandedIn extends Pick<HandIn & { kind: 'rows' }, 'incarnation' | 'starts' | 'open'> {
  datacenter: string
  /** The number of the last start that was handed in. */
  number: number
}

interface Reservation {
  phase: 'reserved' | 'running' | 'closed' | 'void'
  attempt: number
  started: boolean
  /** Of the newest report; 0 before the first. */
  sequence: number
}

/** The state of an execution before the first report. */
const UNKNOWN = { attempt: 0, sequence: 0 }

/** All starts of the workflow are one scope. */
const SCOPE = 'global'

/** Typed access to the tables; itself what the constraints count. Times in milliseconds. */
export class GlobalStore implements ScopeUsage {
  readonly #sql: SqlStorage
  readonly #starts: StartStore

  constructor(sql: SqlStorage) {
    this.#sql = sql
    this.#starts = new StartStore(sql)
  }

  get open(): number {
    return this.#count("phase IN ('reserved', 'running')")
  }

  get pending(): number {
    return this.#count("phase IN ('reserved', 'running') AND started = 0")
  }

  startsAfter(time: number): number {
    return this.#starts.countAfter(SCOPE, time)
  }

  startAfter(time: number, index: number): number {
    return this.#starts.timeAfter(SCOPE, time, index)
  }

  reservation(id: string): Reservation | null {
    const row = this.#sql
      .exec<{ phase: Reservation['phase']; attempt: number; started: number; sequence: number }>(
        'SELECT phase, attempt, started, sequence FROM reservations WHERE id = ?',
        id,
      )
      .toArray()[0]
    return row === undefined ? null : { ...row, started: row.started === 1 }
  }

  reserve(id: string, datacenter: string, attempt: number, now: number): void {
    this.#put(id, datacenter, { phase: 'reserved', attempt, started: false, sequence: 0 }, now)
  }

  /** Takes a reservation out of what is counted, for as long as it is judged itself. */
  setAside(id: string): void {
    this.#sql.exec("UPDATE reservations SET phase = 'void' WHERE id = ? AND phase = 'reserved'", id)
  }

  /** Takes an execution's newest state. */
  report(id: string, datacenter: string, { startedAt, closedAt, attempt, sequence }: UsageReport, now: number): void {
    const present = this.reservation(id)
    if (present !== null && present.sequence >= sequence) return
    // A later attempt has reserved since.
    if (startedAt === null && present !== null && present.attempt > attempt) return
    if (startedAt !== null && present?.started !== true) this.#starts.append(SCOPE, startedAt, id)
    const phase = closedAt === null ? 'running' : startedAt === null ? 'void' : 'closed'
    this.#put(id, datacenter, { phase, attempt, started: startedAt !== null, sequence }, now)
  }

  /** How far a datacenter's starts are known; from the beginning when they aren't. */
  cursor(datacenter: string): { incarnation: string; number: number } {
    return (
      this.#sql
        .exec<{ incarnation: string; number: number }>(
          'SELECT incarnation, number FROM datacenters WHERE name = ?',
          datacenter,
        )
        .toArray()[0] ?? { incarnation: '', number: 0 }
    )
  }

  /**
   * Takes in what datacenters know and this doesn't: starts, and which executions are open. What is open
   * here and nowhere else has ended.
   *
   * @param reported executions that were reported since, whose rows are out of date
   */
  takeIn(handedIn: readonly HandedIn[], reported: ReadonlySet<string>): void {
    const starts = handedIn.flatMap(({ datacenter, starts }) => starts.map((start) => ({ ...start, datacenter })))
    for (const { execution, at, datacenter } of starts.sort((a, b) => a.at - b.at)) {
      const present = this.reservation(execution)
      if (present?.started === true) continue
      this.#starts.append(SCOPE, at, execution)
      // Whether it is still open follows from the list of open ones.
      this.#put(execution, datacenter, { ...UNKNOWN, ...present, phase: 'closed', started: true }, at)
    }
    for (const { datacenter, incarnation, number, open } of handedIn) {
      const listed = new Set(open.map(({ id }) => id))
      for (const { id, phase } of this.#openIn(datacenter)) {
        if (listed.has(id) || reported.has(id)) continue
        // Its ledger will report a reservation that it gave up; a ledger that lost its rows never will.
        this.#sql.exec(
          phase === 'reserved'
            ? 'UPDATE reservations SET orphaned = 1 WHERE id = ?'
            : "UPDATE reservations SET phase = 'closed' WHERE id = ?",
          id,
        )
      }
      for (const { id, admittedAt, startedAt } of open) {
        if (reported.has(id)) continue
        const present = this.reservation(id)
        if (startedAt !== null && present?.started !== true) this.#starts.append(SCOPE, startedAt, id)
        const phase = startedAt === null ? 'reserved' : 'running'
        this.#put(id, datacenter, { ...UNKNOWN, ...present, phase, started: startedAt !== null }, admittedAt)
      }
      this.#sql.exec(
        `INSERT INTO datacenters (name, incarnation, number) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET incarnation = ?2, number = ?3`,
        datacenter,
        incarnation,
        number,
      )
    }
  }

  /** Forgets orphaned reservations of before `time`. */
  forgetOrphans(time: number): void {
    this.#sql.exec("DELETE FROM reservations WHERE phase = 'reserved' AND orphaned = 1 AND at < ?", time)
  }

  /** Forgets starts and ended executions of before `time`, some at a time. */
  forgetBefore(time: number): void {
    this.#starts.forgetBefore(time, FORGET_BATCH)
    this.#sql.exec(
      `DELETE FROM reservations WHERE id IN (
         SELECT id FROM reservations WHERE phase IN ('closed', 'void') AND at < ? LIMIT ?)`,
      time,
      FORGET_BATCH,
    )
  }

  #put(id: string, datacenter: string, { phase, attempt, started, sequence }: Reservation, at: number): void {
    this.#sql.exec(
      `INSERT INTO reservations (id, datacenter, phase, at, attempt, started, orphaned, sequence)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7)
       ON CONFLICT DO UPDATE SET phase = ?3, attempt = max(attempt, ?5), started = max(started, ?6), orphaned = 0,
         sequence = max(sequence, ?7)`,
      id,
      datacenter,
      phase,
      at,
      attempt,
      started ? 1 : 0,
      sequence,
    )
  }

  #openIn(datacenter: string): { id: string; phase: string }[] {
    return this.#sql
      .exec<{ id: string; phase: string }>(
        "SELECT id, phase FROM reservations WHERE datacenter = ? AND phase IN ('reserved', 'running')",
        datacenter,
      )
      .toArray()
  }

  #count(condition: string): number {
    return this.#sql.exec<{ count: number }>(`SELECT count(*) AS count FROM reservations WHERE ${condition}`).one()
      .count
  }
}

/** Rows that are deleted at one time, so that no admission waits for it. */
const FORGET_BATCH = 100

/** Whether a ledger may decide and send now, and its connections to Temporal. */
import type { Config } from '../../shared/config.ts'
import type { ExecutionError } from '../../shared/wire.ts'
import { type ReadySigner, type Signer, signerOf } from '../permits/signer.ts'
import { TemporalClient } from '../temporal/client.ts'
import { ClockWatch } from '../temporal/clock.ts'
import { namespaceId } from '../temporal/outcome.ts'
import { temporalPort } from '../temporal/port.ts'
import type { Undecided } from './types.ts'

/** How long Temporal may take to answer a ping. */
const PING_TIMEOUT_MS = 1000

/** Why nothing can be decided now. */
export type NotReady = Pick<Undecided, 'code' | 'detail'>

/**
 * A ledger is ready when everything that ran before is imported, permits can be signed, and its clock agrees with
 * Temporal's.
 */
export class Readiness {
  readonly #env: Env
  readonly #config: Config
  readonly #identity: string
  readonly #importProblem: () => Promise<string | null>
  readonly #clients = new Map<string, TemporalClient>()
  readonly #namespaceIds = new Map<string, string>()
  readonly #clock = new ClockWatch()
  #ping: Promise<void> | null = null

  /**
   * @param identity      of the ledger, as Temporal shows it
   * @param importProblem why the ledger does not know yet what ran before; null when it does
   */
  constructor(env: Env, config: Config, identity: string, importProblem: () => Promise<string | null>) {
    this.#env = env
    this.#config = config
    this.#identity = identity
    this.#importProblem = importProblem
  }

  /** Why nothing can be decided now; null when it can. */
  async problem(): Promise<NotReady | null> {
    const missing = await this.#importProblem()
    if (missing !== null) return { code: 'starting', detail: `it is not known yet what ran before: ${missing}` }
    const signer = await this.#signer()
    if (signer.problem !== null) return { code: 'starting', detail: signer.problem }
    const clock = await this.#clockProblem()
    return clock === null ? null : { code: 'clock_skew', detail: clock }
  }

  /** Why nothing may be sent. Without an answer from Temporal its clock is unknown, and a start would wait for it. */
  async sendProblem(): Promise<ExecutionError | null> {
    if (!this.#clock.isFresh(Date.now()) || this.#clock.problem !== null) await this.#askTemporal()
    const { problem } = this.#clock
    if (problem !== null) return { type: 'ClockSkew', message: problem }
    const signer = await this.#signer()
    if (signer.problem !== null) return { type: 'NoPermitKey', message: signer.problem }
    return this.#clock.isFresh(Date.now()) ? null : { type: 'NotStartedYet', message: 'Temporal does not answer' }
  }

  /** Signs permits and memos, and reads memos. @throws when there is no key */
  async signer(): Promise<ReadySigner> {
    const signer = await this.#signer()
    if (signer.problem !== null) throw new Error(signer.problem)
    return signer
  }

  /** The client of a Temporal namespace. */
  temporal(namespace: string): TemporalClient {
    const known = this.#clients.get(namespace)
    if (known !== undefined) return known
    const { port, httpUrl } = temporalPort(this.#env)
    const observe = (...answer: Parameters<ClockWatch['observe']>): void => this.#clock.observe(...answer)
    const client = new TemporalClient(port, httpUrl, namespace, this.#identity, observe)
    this.#clients.set(namespace, client)
    return client
  }

  /** Temporal's id of a namespace as it was last received; null before that. */
  knownNamespaceId(namespace: string): string | null {
    return this.#namespaceIds.get(namespace) ?? null
  }

  /** Asks Temporal for the id of a namespace; the answer also tells its time. @returns null without an answer */
  async freshNamespaceId(namespace: string): Promise<string | null> {
    const id = namespaceId(await this.temporal(namespace).namespace(PING_TIMEOUT_MS))
    if (id !== null) this.#namespaceIds.set(namespace, id)
    return id
  }

  #signer(): Promise<Signer> {
    return signerOf(this.#env.PERMIT_KEYS)
  }

  /** Why the clocks don't permit a decision; compares them first when the last comparison is too old. */
  async #clockProblem(): Promise<string | null> {
    const now = Date.now()
    const { namespace } = this.#config.coordinator.temporal
    const isDue = !this.#clock.isFresh(now) || this.#clock.problem !== null || !this.#namespaceIds.has(namespace)
    if (isDue && this.#clock.mayAsk(now)) await this.#askTemporal()
    else if (this.#ping !== null) await this.#ping
    return this.#clock.problem
  }

  /** Asks Temporal for its time and the namespace's id; one request at a time. */
  #askTemporal(): Promise<void> {
    this.#ping ??= this.freshNamespaceId(this.#config.coordinator.temporal.namespace)
      .then(() => undefined)
      .finally(() => {
        this.#ping = null
      })
    this.#clock.asked(Date.now())
    return this.#ping
  }
}

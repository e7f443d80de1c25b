/** The keys of trusted coordinators. */
import { setTimeout as sleep } from 'node:timers/promises'
import { log, messageOf } from '../../../shared/log.ts'
import { type PublicKey, publicKeySchema, publicKeySetSchema } from '../../../shared/permit.ts'

/** Where keys come from: a coordinator, or a file. */
export interface KeySource {
  /** For messages. */
  name: string
  /** The parsed JSON Web Key Set. @throws when there is no answer */
  read: () => Promise<unknown>
}

/** How often all sources are read again, so that a key that was taken back is trusted no longer; milliseconds. */
const REFRESH_INTERVAL_MS = 60_000
/** How soon coordinators are asked again for an unknown key, so that made-up names don't keep them busy. */
const RETRY_INTERVAL_MS = 1000

/** A source could not be asked, so that it is not known whose key it is. */
export class KeysUnavailable extends Error {}

/**
 * Holds the keys of all sources. A source that can't be reached keeps those that it named last: a host must be able to
 * finish what it was permitted while its coordinator is away.
 */
export class PermitKeyStore {
  readonly #sources: readonly KeySource[]
  readonly #keys = new Map<KeySource, readonly PublicKey[]>()
  readonly #failures = new Map<KeySource, string>()
  /** When the sources were asked for what they said last. */
  #askedAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | null = null

  constructor(sources: readonly KeySource[]) {
    this.#sources = sources
  }

  /** Reads the keys now and then, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#read()
      // Until everybody has answered once, a permit may come that can't be checked.
      const wait = this.#keys.size < this.#sources.length ? RETRY_INTERVAL_MS * 5 : REFRESH_INTERVAL_MS
      await sleep(wait, undefined, { signal }).catch(() => undefined)
    }
  }

  /**
   * The key with a name; null when no trusted coordinator has it.
   *
   * @throws KeysUnavailable when it isn't known, and not every source could be asked
   */
  async find(kid: string): Promise<PublicKey | null> {
    const known = this.#known(kid)
    if (known !== null) return known
    await this.#readSince(performance.now())
    const found = this.#known(kid)
    if (found === null && this.#failures.size > 0) {
      throw new KeysUnavailable([...this.#failures.values()].join('; '))
    }
    return found
  }

  #known(kid: string): PublicKey | null {
    for (const keys of this.#keys.values()) {
      const key = keys.find((key) => key.kid === kid)
      if (key !== undefined) return key
    }
    return null
  }

  /** A coordinator signs with a new key as soon as it has it: an answer from before that can't include it. */
  async #readSince(time: number): Promise<void> {
    while (this.#askedAt < time) {
      const wait = this.#reading === null ? this.#askedAt + RETRY_INTERVAL_MS - performance.now() : 0
      await (wait > 0 ? sleep(wait) : this.#read())
    }
  }

  #read(): Promise<void> {
    const askedAt = performance.now()
    this.#reading ??= Promise.all(this.#sources.map((source) => this.#readSource(source)))
      .then(() => undefined)
      .finally(() => {
        this.#askedAt = askedAt
        this.#reading = null
      })
    return this.#reading
  }

  async #readSource(source: KeySource): Promise<void> {
    try {
      const { keys } = publicKeySetSchema.parse(await source.read())
      // A set may hold keys of other kinds, for other uses.
      this.#keys.set(
        source,
        keys.flatMap((key) => publicKeySchema.safeParse(key).data ?? []),
      )
      if (this.#failures.delete(source)) log('info', 'permit_keys_read', { source: source.name })
    } catch (error) {
      if (!this.#failures.has(source)) {
        log('warn', 'permit_keys_unavailable', { source: source.name, detail: messageOf(error) })
      }
      this.#failures.set(source, `the keys of ${source.name} can't be read: ${messageOf(error)}`)
    }
  }
}

/** Which connections a listener keeps when there are many: those of verified callers before all others. */
import { networkOf } from '../../../shared/network.ts'

/** How many connections there may be; tests choose fewer. */
export interface ConnectionLimits {
  all: number
  /** Whose handshake is not over. They have room apart: a verified caller must be able to show its certificate. */
  handshakes: number
  /** Without a verified certificate; what is left of `all` is for verified callers. */
  anonymous: number
  /** Of these and of handshakes, each, from one address. */
  perAddress: number
  /** With one certificate. */
  perCertificate: number
}

const LIMITS: ConnectionLimits = {
  all: 5000,
  handshakes: 500,
  anonymous: 3500,
  perAddress: 400,
  perCertificate: 1000,
}

type State = 'handshake' | 'anonymous' | 'verified'

/** One connection. */
interface Entry {
  state: State
  /** {@link networkOf} its address. */
  network: string
  /** Of its verified certificate. */
  fingerprint: string | null
  /** Requests in progress. */
  requests: number
  end: () => void
}

/**
 * The connections of one listener; `Key` tells one from another. When one holder has too many, the oldest of them that is idle
 * makes way; when all are busy, the new one does. When there are too many in all, the oldest that is idle of who has most does:
 * first of the anonymous, busy ones too, then of handshakes, then of the verified. A busy verified one never does.
 */
export class Connections<Key> {
  readonly #limits: ConnectionLimits
  /** Oldest first, by when they reached their state. */
  readonly #entries: Record<State, Map<Key, Entry>> = {
    handshake: new Map(),
    anonymous: new Map(),
    verified: new Map(),
  }

  constructor(limits = LIMITS) {
    this.#limits = limits
  }

  /**
   * Takes a new connection whose handshake begins.
   *
   * @param end closes it
   */
  accept(key: Key, address: string, end: () => void): void {
    const { handshakes, perAddress } = this.#limits
    const network = networkOf(address)
    const entries = this.#entries.handshake
    entries.set(key, { state: 'handshake', network, fingerprint: null, requests: 0, end })
    this.#boundHolder(entries, (entry) => entry.network === network, perAddress, key)
    if (entries.size > handshakes) this.#end(this.#ofHeaviest(entries, key) ?? key)
    this.#boundAll(key)
  }

  /** Notes that a handshake is over. @param fingerprint of the verified certificate; null without one */
  opened(key: Key, fingerprint: string | null): void {
    const entry = this.#entries.handshake.get(key)
    if (entry === undefined) return
    const { anonymous, perAddress, perCertificate } = this.#limits
    this.#entries.handshake.delete(key)
    entry.state = fingerprint === null ? 'anonymous' : 'verified'
    entry.fingerprint = fingerprint
    const entries = this.#entries[entry.state]
    entries.set(key, entry)
    if (fingerprint === null) {
      this.#boundHolder(entries, ({ network }) => network === entry.network, perAddress, key)
      if (entries.size > anonymous) this.#end(this.#ofHeaviest(entries, key) ?? key)
    } else {
      this.#boundHolder(entries, (other) => other.fingerprint === fingerprint, perCertificate, key)
    }
  }

  /** Notes that a request begins (1) or is answered (-1). */
  count(key: Key, change: 1 | -1): void {
    const entry = this.#find(key)
    if (entry !== undefined) entry.requests += change
  }

  /** Notes that a connection is closed. */
  closed(key: Key): void {
    for (const entries of Object.values(this.#entries)) entries.delete(key)
  }

  /** Closes all. */
  endAll(): void {
    for (const entries of Object.values(this.#entries)) {
      for (const key of entries.keys()) this.#end(key)
    }
  }

  /** Makes room in all, where the anonymous go first. */
  #boundAll(newest: Key): void {
    const { handshake, anonymous, verified } = this.#entries
    if (handshake.size + anonymous.size + verified.size <= this.#limits.all) return
    const victim =
      this.#ofHeaviest(anonymous, newest) ?? this.#ofHeaviest(handshake, newest) ?? this.#idleOfHeaviest(verified)
    this.#end(victim ?? newest)
  }

  /** Keeps at most `limit` of the connections of one holder. */
  #boundHolder(entries: Map<Key, Entry>, counts: (entry: Entry) => boolean, limit: number, newest: Key): void {
    if (entries.size <= limit) return
    let number = 0
    let idle: Key | undefined
    for (const [key, entry] of entries) {
      if (!counts(entry)) continue
      number += 1
      if (entry.requests === 0) idle ??= key
    }
    if (number > limit) this.#end(idle ?? newest)
  }

  /** The oldest connection of the certificate or the network that has most, of those that are idle if there are any. */
  #ofHeaviest(entries: Map<Key, Entry>, newest: Key): Key | undefined {
    return this.#idleOfHeaviest(entries, newest) ?? oldestOfHeaviest(entries, (key) => key !== newest)
  }

  #idleOfHeaviest(entries: Map<Key, Entry>, newest?: Key): Key | undefined {
    return oldestOfHeaviest(entries, (key, { requests }) => requests === 0 && key !== newest)
  }

  #find(key: Key): Entry | undefined {
    const { handshake, anonymous, verified } = this.#entries
    return verified.get(key) ?? anonymous.get(key) ?? handshake.get(key)
  }

  #end(key: Key): void {
    const entry = this.#find(key)
    this.closed(key)
    entry?.end()
  }
}

/** The oldest of those that count, of the holder that has most connections. */
function oldestOfHeaviest<Key>(entries: Map<Key, Entry>, counts: (key: Key, entry: Entry) => boolean): Key | undefined {
  const numbers = new Map<string, number>()
  for (const entry of entries.values()) numbers.set(holderOf(entry), (numbers.get(holderOf(entry)) ?? 0) + 1)
  let found: Key | undefined
  let most = 0
  for (const [key, entry] of entries) {
    const number = numbers.get(holderOf(entry)) ?? 0
    if (number > most && counts(key, entry)) [found, most] = [key, number]
  }
  return found
}

function holderOf({ fingerprint, network }: Entry): string {
  return fingerprint ?? network
}

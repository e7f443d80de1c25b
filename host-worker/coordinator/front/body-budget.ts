/**
 * The memory that request bodies may take in all. At the limit, an incomplete body of the caller with the most bytes is
 * evicted, so that nobody keeps others out by sending slowly.
 */
import type { ServerResponse } from 'node:http'

const MIB = 1024 * 1024

/** Bytes of bodies that are held at the same time. */
const MAX_BYTES = {
  all: 64 * MIB,
  /** Of callers without a certificate. */
  unverified: 16 * MIB,
  /** Of one certificate, or of one network without. */
  holder: 16 * MIB,
}

/** Whose body it is. */
export interface BodyHolder {
  /** Of the caller's verified certificate; null without one. */
  fingerprint: string | null
  /** What one holder of addresses has at least (shared/network.ts). */
  network: string
}

/** What one request takes of the budget. */
export interface BodyAccount {
  /**
   * Takes room for what has come.
   *
   * @param evict called when what was taken has to make way after all
   * @returns whether there is room for it
   */
  take(bytes: number, evict: () => void): boolean
  /** Notes that the body is whole: it no longer makes way. */
  complete(): void
}

interface Held {
  holder: string
  isVerified: boolean
  bytes: number
  /** Null when it may not be evicted. */
  evict: (() => void) | null
}

/** Counts what is held. */
export class BodyBudget {
  /** The one that waits longest for its next bytes first. */
  readonly #held = new Set<Held>()
  readonly #byHolder = new Map<string, number>()
  #all = 0
  #unverified = 0

  /** Opens an account for a request; what it takes is held until the response is closed. */
  accountOf(response: ServerResponse, { fingerprint, network }: BodyHolder): BodyAccount {
    const held: Held = { holder: fingerprint ?? network, isVerified: fingerprint !== null, bytes: 0, evict: null }
    response.once('close', () => this.#release(held))
    return {
      take: (bytes, evict) => {
        if (response.closed || !this.#makeRoom(held, bytes)) return false
        held.evict = evict
        // Behind all others: it makes progress.
        this.#held.delete(held)
        this.#held.add(held)
        this.#count(held, bytes)
        return true
      },
      complete: () => {
        held.evict = null
      },
    }
  }

  /** Evicts bodies of holders that hold more than this one would, until there is room. @returns whether there is */
  #makeRoom({ holder, isVerified }: Held, bytes: number): boolean {
    const own = (this.#byHolder.get(holder) ?? 0) + bytes
    if (own > MAX_BYTES.holder) return false
    while (!isVerified && this.#unverified + bytes > MAX_BYTES.unverified) {
      if (!this.#evictHeavier(own, (other) => !other.isVerified)) return false
    }
    while (this.#all + bytes > MAX_BYTES.all) {
      if (!this.#evictHeavier(own, () => true)) return false
    }
    return true
  }

  #evictHeavier(than: number, counts: (held: Held) => boolean): boolean {
    let victim: Held | undefined
    let most = than
    for (const held of this.#held) {
      const total = this.#byHolder.get(held.holder) ?? 0
      if (total > most && held.evict !== null && counts(held)) [victim, most] = [held, total]
    }
    if (victim === undefined) return false
    this.#release(victim)
    victim.evict?.()
    return true
  }

  #release(held: Held): void {
    if (this.#held.delete(held)) this.#count(held, -held.bytes)
  }

  #count(held: Held, bytes: number): void {
    held.bytes += bytes
    this.#all += bytes
    if (!held.isVerified) this.#unverified += bytes
    const total = (this.#byHolder.get(held.holder) ?? 0) + bytes
    if (total === 0) this.#byHolder.delete(held.holder)
    else this.#byHolder.set(held.holder, total)
  }
}

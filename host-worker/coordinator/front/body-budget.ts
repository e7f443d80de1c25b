/** The memory that request bodies may take in all. */
import type { ServerResponse } from 'node:http'

/** Bytes of all bodies that are held at the same time, and of those among them from callers without a certificate. */
const MAX_BODY_BYTES = 64 * 1024 * 1024
const MAX_UNVERIFIED_BYTES = 16 * 1024 * 1024

/** Takes bytes for one request's body. @returns whether there is room for them */
export type TakeBytes = (bytes: number) => boolean

/** Counts what is held. Callers without a certificate have a share of it, so that they keep nobody else out. */
export class BodyBudget {
  #held = 0
  #unverified = 0

  /** Opens an account for a request; what it takes is held until the response is closed. */
  accountOf(response: ServerResponse, isVerified: boolean): TakeBytes {
    let taken = 0
    response.once('close', () => {
      this.#add(-taken, isVerified)
      taken = 0
    })
    return (bytes) => {
      const isFull = this.#held + bytes > MAX_BODY_BYTES
      if (isFull || (!isVerified && this.#unverified + bytes > MAX_UNVERIFIED_BYTES)) return false
      this.#add(bytes, isVerified)
      taken += bytes
      return true
    }
  }

  #add(bytes: number, isVerified: boolean): void {
    this.#held += bytes
    if (!isVerified) this.#unverified += bytes
  }
}

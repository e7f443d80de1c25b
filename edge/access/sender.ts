/** The sender of a signed message, as the signature check of its integration established it. */
import type { Identity } from './identify.ts'

/** A message that its sender has signed. */
export interface SignedMessage {
  /** The same in each attempt to deliver it. */
  id: string
  /** When this attempt was made, in seconds since the epoch. */
  timestamp: number
}

/**
 * The verified sender with its message (null where the signature scheme has no timestamp), or the caller's identity
 * without the signature and why that was refused.
 */
export type Sender = VerifiedSender | { identity: Identity; refused: string }

/** A sender whose signature is valid. */
export interface VerifiedSender {
  identity: Identity
  message: SignedMessage | null
}

/** What a signature check says of a request: its sender, or why the signature is not accepted. */
export type SignatureResult = VerifiedSender | { refused: string }

/** What signature checks read of a request. */
export interface SignedRequest {
  method: string
  /** Decoded. */
  path: string
  headers: Headers
  body: Uint8Array
}

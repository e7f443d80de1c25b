/**
 * Permits: signed, expiring proofs of an admission that a host checks before it changes anything. A permit is a JSON Web
 * Token (RFC 7519) signed with Ed25519 (`EdDSA`, RFC 8037) by a coordinator, whose public keys are a JSON Web Key Set
 * (RFC 7517) at `/.well-known/jwks.json`. It travels in the Temporal header of the start that it permits.
 */
import { z } from 'zod'
import type { Payload } from './payload.ts'

/** `typ` of a permit's header: no other token of the same key is one. */
export const PERMIT_TYPE = 'resile-permit+jwt'
/** `alg` of a permit's header. */
export const PERMIT_ALGORITHM = 'EdDSA'
/** Where a coordinator publishes its keys. */
export const JWKS_PATH = '/.well-known/jwks.json'
/** Type of the failure with which an activity ends that had no valid permit. */
export const PERMIT_REFUSED = 'PermitRefused'

/** Why a host refused a permit. */
export const PERMIT_REFUSALS = [
  'missing',
  'bad_signature',
  'expired',
  'wrong_node',
  'wrong_workflow',
  'wrong_command',
  'input_mismatch',
] as const
export type PermitRefusal = (typeof PERMIT_REFUSALS)[number]

/** The claims of a permit. Times are NumericDates: seconds since the epoch, with milliseconds as a fraction. */
export const permitSchema = z.strictObject({
  /** Id of the execution, which is also Temporal's workflow id. */
  sub: z.string(),
  /** When the trigger was admitted. */
  iat: z.number(),
  /** Until when the execution must have begun. */
  begin_by: z.number(),
  /** When the execution has ended whatever happens. */
  exp: z.number(),
  namespace: z.string(),
  workflow: z.string(),
  workflow_type: z.string(),
  /** Where the workflow's own tasks run; absent in permits of earlier versions. */
  task_queue: z.string().optional(),
  datacenter: z.string(),
  /** Where it may change anything: one node, the nodes of a type, or those of the whole datacenter. */
  target: z.union([
    z.strictObject({ node: z.string() }),
    z.strictObject({ node_type: z.string() }),
    z.strictObject({ datacenter: z.string() }),
  ]),
  /** {@link digestPayloads} of what the workflow was started with. */
  input_sha256: z.string(),
})
export type Permit = z.output<typeof permitSchema>

/** One private key of the coordinator (RFC 8037). */
const privateKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  kid: z.string().min(1),
  x: z.string().min(1),
  d: z.string().min(1),
})
/** The keys that a coordinator signs with: the first signs, the others are published so that what they signed holds. */
export const privateKeySetSchema = z.object({ keys: z.array(privateKeySchema).min(1) })

/** The published half of a key. */
export const publicKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  kid: z.string().min(1),
  x: z.string().min(1),
})
export type PublicKey = z.output<typeof publicKeySchema>
export const publicKeySetSchema = z.object({ keys: z.array(z.unknown()) })

/**
 * SHA-256 (base64url) over payloads as Temporal keeps them: of each its encoding and its data, each with its length in
 * front, so that no two lists of payloads are alike.
 */
export async function digestPayloads(payloads: readonly Payload[]): Promise<string> {
  const parts = payloads.flatMap(({ metadata, data = '' }) => [metadata?.encoding ?? '', data])
  const text = parts.map((part) => `${part.length}:${part}`).join('')
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return btoa(String.fromCharCode(...new Uint8Array(digest)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** Rejected attempts, as `GET /v1/rejections` lists them. */
import { z } from 'zod'

/** Why an attempt was rejected: no identity (401), no rule (403), a wrong signature, or a permit that a host refused. */
export const REJECTIONS = ['unauthenticated', 'forbidden', 'bad_signature', 'bad_permit'] as const
export type RejectionReason = (typeof REJECTIONS)[number]

const count = z.number().int().min(0)

/** The rejected attempts of one caller. */
export const rejectionSchema = z.strictObject({
  /** A SPIFFE ID, `anonymous`, or of a permit `execution:` and Temporal's workflow id. */
  caller: z.string(),
  /** The address it came from, or the node that refused the permit. */
  from: z.string().nullable(),
  counts: z.strictObject({
    unauthenticated: count,
    forbidden: count,
    bad_signature: count,
    bad_permit: count,
  } satisfies Record<RejectionReason, z.ZodType>),
  last_at: z.iso.datetime(),
  /** Path of the last request, or why the last permit was refused. */
  last: z.string(),
})
export type Rejection = z.output<typeof rejectionSchema>

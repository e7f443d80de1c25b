/**
 * The proof in the memo of an admitted execution: by it a ledger that has lost its rows knows what it admitted. It is a
 * JSON Web Token (RFC 7519), signed with the key that signs permits.
 */
import { z } from 'zod'
import { isName } from '../../shared/names.ts'

/** `typ` of its header: a permit is none, and it is no permit. */
export const MEMO_TYPE = 'resile-memo+jwt'

const name = z.string().refine(isName)

/** Its claims: what was admitted, and how it is started in Temporal. */
export const memoSchema = z.strictObject({
  /** Id of the execution, which is also Temporal's workflow id. */
  sub: z.string(),
  namespace: z.string(),
  workflow: name,
  workflow_type: z.string(),
  /** Of the workflow's own tasks. */
  task_queue: z.string(),
  target: z.strictObject({
    node: name.optional(),
    node_type: z.string().optional(),
    datacenter: z.string().optional(),
  }),
})

export type Memo = z.output<typeof memoSchema>

/** Errors as RFC 9457 problem documents. */
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Problem, TriggerItems } from '../../shared/wire.ts'

/** An error at one place of the input; `path` is a JSON Pointer (RFC 6901). */
export interface InputError {
  path: string
  message: string
}

const TITLES = {
  too_large: [413, 'Content Too Large'],
  unauthenticated: [401, 'Unauthenticated'],
  forbidden: [403, 'Forbidden'],
  not_found: [404, 'Not Found'],
  unknown_workflow: [404, 'Unknown Workflow'],
  method_not_allowed: [405, 'Method Not Allowed'],
  unsupported_media_type: [415, 'Unsupported Media Type'],
  bad_request: [400, 'Bad Request'],
  invalid_target: [422, 'Invalid Target'],
  invalid_input: [422, 'Invalid Input'],
  replayed: [409, 'Replayed'],
  idempotency_conflict: [409, 'Idempotency Key Conflict'],
  already_closed: [409, 'Already Closed'],
  not_awaiting_approval: [409, 'Not Awaiting Approval'],
  not_lost: [409, 'Not Lost'],
  not_tripped: [409, 'Not Tripped'],
  frozen: [423, 'Frozen'],
  no_worker: [503, 'No Worker'],
  workflow_not_registered: [503, 'Workflow Not Registered'],
  constraint_denied: [429, 'Constraint Denied'],
  too_many_requests: [429, 'Too Many Requests'],
  overloaded: [503, 'Overloaded'],
  ledger_unavailable: [503, 'Ledger Unavailable'],
  clock_skew: [503, 'Clock Skew'],
  starting: [503, 'Starting'],
  try_again: [503, 'Try Again'],
  internal: [500, 'Internal Error'],
} as const satisfies Record<string, readonly [ContentfulStatusCode, string]>

/** Codes of problems; each has one HTTP status. */
export type ProblemCode = keyof typeof TITLES

/** Thrown to answer a request with a problem document. */
export class ProblemError extends Error {
  readonly code: ProblemCode
  readonly errors: readonly InputError[] | undefined
  readonly decision: Problem['decision']
  readonly items: TriggerItems | undefined
  readonly headers: Record<string, string>

  constructor(
    code: ProblemCode,
    detail: string,
    more: {
      errors?: readonly InputError[]
      decision?: NonNullable<Problem['decision']>
      items?: TriggerItems
      headers?: Record<string, string>
    } = {},
  ) {
    super(detail)
    this.code = code
    this.errors = more.errors
    this.decision = more.decision
    this.items = more.items
    this.headers = more.headers ?? {}
  }

  /** The HTTP response. */
  toResponse(): Response {
    const [status, title] = TITLES[this.code]
    const problem: Problem = {
      type: `urn:resile:problem:${this.code}`,
      title,
      status,
      code: this.code,
      detail: this.message,
      ...(this.errors === undefined ? {} : { errors: [...this.errors] }),
      ...(this.decision === undefined ? {} : { decision: this.decision }),
      ...this.items,
    }
    // A 503 passes by itself, so a caller may simply come back.
    const retry = status === 503 ? { 'retry-after': '5' } : {}
    return new Response(JSON.stringify(problem), {
      status,
      headers: { 'content-type': 'application/problem+json', ...retry, ...this.headers },
    })
  }
}

/**
 * Runs a check of a part of the body that does not know where that part is.
 *
 * @param place JSON Pointer of the part
 * @throws what the check throws; the paths of a ProblemError then begin at the body's root
 */
export function checkAt<Result>(place: string, check: () => Result): Result {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof ProblemError) || error.errors === undefined) throw error
    const errors = error.errors.map(({ path, message }) => ({ path: `${place}${path}`, message }))
    throw new ProblemError(error.code, error.message, { errors, headers: error.headers })
  }
}

/** The problem codes with their statuses, for the OpenAPI document. */
export const PROBLEM_STATUSES: Readonly<Record<ProblemCode, number>> = Object.fromEntries(
  Object.entries(TITLES).map(([code, [status]]) => [code, status]),
) as Record<ProblemCode, number>

/** A place in a JSON document as a JSON Pointer. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

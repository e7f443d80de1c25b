/** HTTP answers of triggers that start one thing. */
import type { Admitted } from '../ledger/types.ts'

/** The answer to a trigger that was admitted, awaits approval or was only recorded. */
export function admissionResponse({ kind, decision, execution }: Admitted): Response {
  const isReplayed = kind === 'replayed'
  return new Response(JSON.stringify({ decision, execution }), {
    status: isReplayed ? 200 : execution.started_at === null ? 202 : 201,
    headers: {
      'content-type': 'application/json',
      location: `/v1/executions/${execution.id}`,
      ...(isReplayed ? { 'idempotent-replayed': 'true' } : {}),
    },
  })
}

/** The input of a checked body as it was sent: the schema's copy omits a key named `__proto__`. */
export function inputOf(json: unknown): Record<string, unknown> {
  return (json as { input?: Record<string, unknown> }).input ?? {}
}

/**
 * A route: the router and the OpenAPI document are made from it, and so are the fuzz tests, except for signals, whose
 * bodies are listed in `edge/testing/fuzz/signals.ts`. A test reads `method` and `path` from the source: write them as
 * literals.
 */
import type { z } from 'zod'
import { heartbeatAnswerSchema } from '../shared/heartbeat.ts'
import { rejectionSchema } from '../shared/rejection.ts'
import {
  decisionSchema,
  executionSchema,
  freezeAnswerSchema,
  nodeSchema,
  signalSchema,
  stepsSchema,
  triggerItemsSchema,
} from '../shared/wire.ts'
import type { AppContext } from './context.ts'
import type { ProblemCode } from './http/problem.ts'

/** One route. Parameters in `path` are written `:name`. */
export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  summary: string
  handler: (context: AppContext) => Response | Promise<Response>
  body?: z.ZodType
  /** Media type of the body; JSON by default. */
  bodyType?: string
  query?: readonly string[]
  /** Successful answers: status → name of a schema, or null for one without a JSON body or schema. */
  answers: Readonly<Record<number, AnswerName | null>>
  problems?: readonly ProblemCode[]
}

/** Schemas of answers, by the name they have in the OpenAPI document. */
export const ANSWERS = {
  Decision: decisionSchema,
  Execution: executionSchema,
  Freeze: freezeAnswerSchema,
  HeartbeatAnswer: heartbeatAnswerSchema,
  Node: nodeSchema,
  Rejection: rejectionSchema,
  Signal: signalSchema,
  Steps: stepsSchema,
  TriggerItems: triggerItemsSchema,
} as const
export type AnswerName =
  | keyof typeof ANSWERS
  | 'Admission'
  | 'Evaluation'
  | 'DecisionList'
  | 'ExecutionList'
  | 'FreezeList'
  | 'NodeList'
  | 'RejectionList'
  | 'SignalList'

/** Problems of a trigger that is not valid. */
export const MALFORMED = [
  'unknown_workflow',
  'unsupported_media_type',
  'bad_request',
  'invalid_target',
  'invalid_input',
] as const satisfies readonly ProblemCode[]
/** Problems of a trigger that is denied. */
export const DENIED = [
  'no_worker',
  'workflow_not_registered',
  'frozen',
  'constraint_denied',
] as const satisfies readonly ProblemCode[]
/** Problems of a trigger that can't be decided now. */
export const UNDECIDED = ['ledger_unavailable', 'clock_skew', 'starting'] as const satisfies readonly ProblemCode[]

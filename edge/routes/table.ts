/** All routes in one table: the router and the OpenAPI document are both made from it. */
import type { z } from 'zod'
import type { Config } from '../../shared/config.ts'
import {
  cancelSchema,
  decisionSchema,
  evaluateSchema,
  executionSchema,
  heartbeatSchema,
  nodeSchema,
  startSchema,
} from '../../shared/wire.ts'
import type { AppContext } from '../http/context.ts'
import type { ProblemCode } from '../http/problem.ts'
import { listDecisions, showDecision } from './decisions.ts'
import { cancelExecution, listExecutions, showExecution } from './executions.ts'
import { healthz, readyz } from './health.ts'
import { metrics } from './metrics.ts'
import { beat, listNodes, showNode } from './nodes.ts'
import { openApi } from './openapi.ts'
import { evaluateTrigger, startExecution } from './start.ts'
import { listWorkflows, showWorkflow } from './workflows.ts'

/** One route. Parameters in `path` are written `:name`. */
export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  summary: string
  handler: (context: AppContext, config: Config) => Response | Promise<Response>
  body?: z.ZodType
  query?: readonly string[]
  /** Successful answers: status → name of a schema, or null for one without a JSON body or schema. */
  answers: Readonly<Record<number, AnswerName | null>>
  problems?: readonly ProblemCode[]
}

/** Schemas of answers, by the name they have in the OpenAPI document. */
export const ANSWERS = { Decision: decisionSchema, Execution: executionSchema, Node: nodeSchema } as const
export type AnswerName =
  | keyof typeof ANSWERS
  | 'Admission'
  | 'Evaluation'
  | 'DecisionList'
  | 'ExecutionList'
  | 'NodeList'

export const ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/workflows/:workflow/executions',
    handler: startExecution,
    body: startSchema,
    summary: 'Start a workflow, if its constraints allow it now',
    answers: { 200: 'Admission', 201: 'Admission', 202: 'Admission' },
    problems: [
      'unknown_workflow',
      'unsupported_media_type',
      'bad_request',
      'invalid_target',
      'invalid_input',
      'idempotency_conflict',
      'no_worker',
      'workflow_not_registered',
      'constraint_denied',
      'ledger_unavailable',
    ],
  },
  {
    method: 'POST',
    path: '/v1/workflows/:workflow/evaluate',
    handler: evaluateTrigger,
    body: evaluateSchema,
    summary: 'What the answer to a start would be; changes nothing',
    answers: { 200: 'Evaluation' },
    problems: ['unknown_workflow', 'unsupported_media_type', 'bad_request', 'invalid_target', 'invalid_input'],
  },
  {
    method: 'GET',
    path: '/v1/workflows',
    handler: listWorkflows,
    summary: 'Workflows with the use of their constraints',
    query: ['limit', 'cursor'],
    answers: { 200: null },
  },
  {
    method: 'GET',
    path: '/v1/workflows/:workflow',
    handler: showWorkflow,
    summary: 'One workflow',
    answers: { 200: null },
    problems: ['unknown_workflow'],
  },
  {
    method: 'GET',
    path: '/v1/executions',
    handler: listExecutions,
    summary: 'Executions, newest first',
    query: ['limit', 'cursor', 'workflow', 'node', 'datacenter', 'status'],
    answers: { 200: 'ExecutionList' },
    problems: ['bad_request'],
  },
  {
    method: 'GET',
    path: '/v1/executions/:id',
    handler: showExecution,
    summary: 'One execution',
    answers: { 200: 'Execution' },
    problems: ['not_found'],
  },
  {
    method: 'POST',
    path: '/v1/executions/:id/cancel',
    handler: cancelExecution,
    body: cancelSchema,
    summary: 'Cancel an execution; a pending one never starts',
    answers: { 202: 'Execution' },
    problems: ['not_found', 'already_closed', 'unsupported_media_type', 'bad_request'],
  },
  {
    method: 'GET',
    path: '/v1/decisions',
    handler: listDecisions,
    summary: 'Decisions, newest first',
    query: ['limit', 'cursor', 'workflow', 'node', 'outcome', 'code', 'caller', 'since'],
    answers: { 200: 'DecisionList' },
    problems: ['bad_request'],
  },
  {
    method: 'GET',
    path: '/v1/decisions/:id',
    handler: showDecision,
    summary: 'One decision with its receipt',
    answers: { 200: 'Decision' },
    problems: ['not_found'],
  },
  {
    method: 'GET',
    path: '/v1/nodes',
    handler: listNodes,
    summary: 'Live nodes',
    query: ['limit', 'cursor'],
    answers: { 200: 'NodeList' },
  },
  {
    method: 'GET',
    path: '/v1/nodes/:node',
    handler: showNode,
    summary: 'One live node',
    answers: { 200: 'Node' },
    problems: ['not_found'],
  },
  {
    method: 'PUT',
    path: '/v1/nodes/:node',
    handler: beat,
    body: heartbeatSchema,
    summary: 'Heartbeat of a node',
    answers: { 204: null },
    problems: ['not_found', 'unsupported_media_type', 'bad_request'],
  },
  { method: 'GET', path: '/metrics', handler: metrics, summary: 'Metrics as Prometheus text', answers: { 200: null } },
  { method: 'GET', path: '/healthz', handler: healthz, summary: 'It runs', answers: { 200: null } },
  {
    method: 'GET',
    path: '/readyz',
    handler: readyz,
    summary: 'Config and ledgers work',
    answers: { 200: null, 503: null },
  },
  {
    method: 'GET',
    path: '/openapi.json',
    handler: openApi,
    summary: 'This API as an OpenAPI document',
    answers: { 200: null },
  },
]

/** All routes in one table: the router and the OpenAPI document are both made from it. */
import { z } from 'zod'
import type { Config } from '../../shared/config.ts'
import { JWKS_PATH } from '../../shared/permit.ts'
import {
  approvalSchema,
  cancelSchema,
  decisionSchema,
  evaluateSchema,
  executionSchema,
  freezeAnswerSchema,
  freezeSchema,
  heartbeatSchema,
  nodeSchema,
  resetSchema,
  settleSchema,
  signalReportSchema,
  signalSchema,
  startSchema,
  stepsSchema,
  triggerItemsSchema,
  webhookEnvelopeSchema,
  webhookSchema,
} from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import type { ProblemCode } from '../http/problem.ts'
import { alertGroupSchema } from '../integrations/alertmanager/alerts.ts'
import { receiveAlerts } from '../integrations/alertmanager/receiver.ts'
import { receiveEvent } from '../integrations/cloudevents/receiver.ts'
import { pagerdutySchema } from '../integrations/pagerduty/event.ts'
import { receiveIncident } from '../integrations/pagerduty/receiver.ts'
import { receiveSlack } from '../integrations/slack/receiver.ts'
import { receiveMessage } from '../integrations/webhook/receiver.ts'
import { listDecisions, showDecision } from './decisions.ts'
import {
  approveExecution,
  cancelExecution,
  listExecutions,
  rejectExecution,
  settleExecution,
  showExecution,
} from './executions.ts'
import { addFreeze, listFreezes, removeFreeze } from './freezes.ts'
import { healthz, jwks, readyz } from './health.ts'
import { metrics } from './metrics.ts'
import { beat, forgetNode, listNodes, showNode } from './nodes.ts'
import { openApi } from './openapi.ts'
import { listSignals, reportSignals } from './signals.ts'
import { evaluateTrigger, startExecution } from './start.ts'
import { showSteps } from './steps.ts'
import { listWorkflows, resetWorkflow, showWorkflow } from './workflows.ts'

/** One route. Parameters in `path` are written `:name`. */
export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  summary: string
  handler: (context: AppContext, config: Config) => Response | Promise<Response>
  body?: z.ZodType
  /** Media type of the body; JSON without. */
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
  Node: nodeSchema,
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
  | 'SignalList'

/** What may be wrong with a trigger itself, */
const MALFORMED = [
  'unknown_workflow',
  'unsupported_media_type',
  'bad_request',
  'invalid_target',
  'invalid_input',
] as const satisfies readonly ProblemCode[]
/** why one may be denied, */
const DENIED = [
  'no_worker',
  'workflow_not_registered',
  'frozen',
  'constraint_denied',
] as const satisfies readonly ProblemCode[]
/** and why it may not be decided. */
const UNDECIDED = ['ledger_unavailable', 'clock_skew', 'starting'] as const satisfies readonly ProblemCode[]

export const ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/workflows/:workflow/executions',
    handler: startExecution,
    body: startSchema,
    summary: 'Start a workflow, if its constraints allow it now',
    answers: { 200: 'Admission', 201: 'Admission', 202: 'Admission' },
    problems: [...MALFORMED, 'idempotency_conflict', ...DENIED, ...UNDECIDED],
  },
  {
    method: 'POST',
    path: '/v1/workflows/:workflow/evaluate',
    handler: evaluateTrigger,
    body: evaluateSchema,
    summary: 'What the answer to a start would be; changes nothing',
    answers: { 200: 'Evaluation' },
    problems: [...MALFORMED, ...UNDECIDED],
  },
  {
    method: 'POST',
    path: '/v1/triggers/webhook/:name',
    handler: receiveMessage,
    body: z.union([webhookSchema, webhookEnvelopeSchema]),
    summary: 'Start a workflow by a signed message (Standard Webhooks), if its constraints allow it now',
    answers: { 200: 'Admission', 201: 'Admission', 202: 'Admission' },
    problems: ['not_found', ...MALFORMED, 'replayed', 'idempotency_conflict', ...DENIED, ...UNDECIDED],
  },
  {
    method: 'POST',
    path: '/v1/triggers/alertmanager',
    handler: receiveAlerts,
    body: alertGroupSchema,
    summary: 'Start what firing alerts of Alertmanager want, if constraints allow it now',
    answers: { 200: 'TriggerItems' },
    problems: ['unsupported_media_type', 'bad_request', 'try_again'],
  },
  {
    method: 'POST',
    path: '/v1/triggers/pagerduty',
    handler: receiveIncident,
    body: pagerdutySchema,
    summary: "Start what an event of PagerDuty's webhooks (version 3) wants, if constraints allow it now",
    answers: { 200: 'TriggerItems' },
    problems: ['not_found', 'unsupported_media_type', 'bad_request', 'starting', 'try_again'],
  },
  {
    method: 'POST',
    path: '/v1/triggers/cloudevents',
    handler: receiveEvent,
    body: z.record(z.string(), z.unknown()),
    bodyType: 'application/cloudevents+json',
    summary: 'Start what a CloudEvent (1.0, binary or structured) wants, if constraints allow it now',
    answers: { 200: 'TriggerItems', 201: 'Admission', 202: 'Admission' },
    problems: [...MALFORMED, 'replayed', 'idempotency_conflict', ...DENIED, ...UNDECIDED, 'try_again'],
  },
  {
    method: 'POST',
    path: '/v1/triggers/slack',
    handler: receiveSlack,
    body: z.record(z.string(), z.string()),
    bodyType: 'application/x-www-form-urlencoded',
    summary: "What somebody wants by a Slack app's slash command or button; also a refusal is 200, with its text",
    answers: { 200: null },
    problems: ['not_found', 'unsupported_media_type', 'bad_request', 'replayed', 'ledger_unavailable', 'starting'],
  },
  {
    method: 'POST',
    path: '/v1/workflows/:workflow/reset',
    handler: resetWorkflow,
    body: resetSchema,
    summary: 'Clear a tripped maxFailure',
    answers: { 200: null },
    problems: ['unknown_workflow', 'unsupported_media_type', 'bad_request'],
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
    method: 'GET',
    path: '/v1/executions/:id/steps',
    handler: showSteps,
    summary: 'One execution and what it has done so far',
    answers: { 200: 'Steps' },
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
    method: 'POST',
    path: '/v1/executions/:id/approve',
    handler: approveExecution,
    body: approvalSchema,
    summary: 'Admit an execution that awaits approval, if its constraints allow it now',
    answers: { 201: 'Admission', 202: 'Admission' },
    problems: [
      'not_found',
      'not_awaiting_approval',
      'unknown_workflow',
      'unsupported_media_type',
      'bad_request',
      ...DENIED,
      ...UNDECIDED,
    ],
  },
  {
    method: 'POST',
    path: '/v1/executions/:id/reject',
    handler: rejectExecution,
    body: approvalSchema,
    summary: 'Reject an execution that awaits approval: it never starts',
    answers: { 200: 'Execution' },
    problems: ['not_found', 'not_awaiting_approval', 'unsupported_media_type', 'bad_request'],
  },
  {
    method: 'POST',
    path: '/v1/executions/:id/settle',
    handler: settleExecution,
    body: settleSchema,
    summary: "An operator's word on an execution that Temporal no longer knows",
    answers: { 200: 'Execution' },
    problems: ['not_found', 'not_lost', 'unsupported_media_type', 'bad_request'],
  },
  {
    method: 'GET',
    path: '/v1/freezes',
    handler: listFreezes,
    summary: 'Freezes that hold, newest first',
    query: ['limit', 'cursor'],
    answers: { 200: 'FreezeList' },
    problems: ['bad_request'],
  },
  {
    method: 'POST',
    path: '/v1/freezes',
    handler: addFreeze,
    body: freezeSchema,
    summary: 'Start nothing that the scope covers, until it is lifted or expires',
    answers: { 201: 'Freeze' },
    problems: ['unsupported_media_type', 'bad_request'],
  },
  {
    method: 'DELETE',
    path: '/v1/freezes/:id',
    handler: removeFreeze,
    summary: 'Lift a freeze',
    answers: { 204: null },
    problems: ['not_found'],
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
  {
    method: 'POST',
    path: '/v1/nodes/:node/forget',
    handler: forgetNode,
    summary: 'Forget a node that is gone for good, so that it no longer counts as dead',
    answers: { 204: null },
    problems: ['not_found'],
  },
  {
    method: 'GET',
    path: '/v1/signals',
    handler: listSignals,
    summary: 'What each signal was worth over the last 1, 7 and 30 days, the one that fired last first',
    query: ['source', 'name', 'workflow'],
    answers: { 200: 'SignalList' },
    problems: ['bad_request'],
  },
  {
    method: 'POST',
    path: '/v1/signals',
    handler: reportSignals,
    body: signalReportSchema,
    summary: 'A detector tells of its episodes',
    answers: { 204: null },
    problems: ['unsupported_media_type', 'bad_request'],
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
    path: JWKS_PATH,
    handler: jwks,
    summary: 'The public keys that check permits, as a JSON Web Key Set',
    answers: { 200: null },
    problems: ['starting'],
  },
  {
    method: 'GET',
    path: '/openapi.json',
    handler: openApi,
    summary: 'This API as an OpenAPI document',
    answers: { 200: null },
  },
]

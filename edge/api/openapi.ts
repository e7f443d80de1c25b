/** `GET /openapi.json`: made from the route table and the schemas that also check requests. */
import { z } from 'zod'
import { escalationSchema, problemSchema } from '../../shared/wire.ts'
import { PROBLEM_STATUSES, type ProblemCode } from '../http/problem.ts'
import { ANSWERS, type AnswerName, type Route } from '../route.ts'

/** The route of the document, which describes itself too. OpenAPI 3.1, https://spec.openapis.org/oas/v3.1.0 */
export function openApiRoute(others: readonly Route[]): Route {
  const route: Route = {
    method: 'GET',
    path: '/openapi.json',
    handler: (context) => context.json(openApiDocument([...others, route])),
    summary: 'This API as an OpenAPI document',
    answers: { 200: null },
  }
  return route
}

function openApiDocument(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Resile coordinator',
      version: '1',
      description: 'Decides whether a remediation may run now, and runs it.',
    },
    paths,
    webhooks: { escalation: escalationWebhook() },
    components: { schemas: schemas() },
  }
}

/** The requests that the coordinator itself sends, to receivers of kind `webhook`. */
function escalationWebhook(): object {
  const header = (name: string, required: boolean): object => ({
    name,
    in: 'header',
    required,
    schema: { type: 'string' },
  })
  return {
    post: {
      summary: 'An execution failed, expired or was lost, or awaits approval',
      parameters: [header('webhook-id', true), header('webhook-timestamp', true), header('webhook-signature', false)],
      requestBody: { content: { 'application/json': { schema: jsonSchema(escalationSchema, 'output') } } },
      responses: { '2XX': { description: 'Acknowledged; anything else is retried' } },
    },
  }
}

function operation(route: Route): object {
  const parameters = [
    ...[...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...(route.query ?? []).map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
  ]
  return {
    summary: route.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            content: { [route.bodyType ?? 'application/json']: { schema: jsonSchema(route.body, 'input') } },
          },
        }),
    responses: { ...answers(route), ...problems(route.problems ?? []) },
  }
}

function answers(route: Route): Record<string, object> {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, name]) => [
      status,
      {
        description: status === '200' ? 'OK' : route.summary,
        ...(name === null ? {} : { content: { 'application/json': { schema: reference(name) } } }),
      },
    ]),
  )
}

function problems(codes: readonly ProblemCode[]): Record<string, object> {
  const every: ProblemCode[] = [
    ...codes,
    'too_large',
    'unauthenticated',
    'forbidden',
    'too_many_requests',
    'overloaded',
    'internal',
  ]
  const byStatus = Map.groupBy(every, (code) => PROBLEM_STATUSES[code])
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      { description: group.join(', '), content: { 'application/problem+json': { schema: reference('Problem') } } },
    ]),
  )
}

function schemas(): Record<string, object> {
  const list = (name: AnswerName): object => ({
    type: 'object',
    properties: { items: { type: 'array', items: reference(name) }, next_cursor: { type: ['string', 'null'] } },
    required: ['items', 'next_cursor'],
  })
  return {
    ...Object.fromEntries(Object.entries(ANSWERS).map(([name, schema]) => [name, jsonSchema(schema, 'output')])),
    Problem: jsonSchema(problemSchema, 'output'),
    Admission: {
      type: 'object',
      required: ['decision', 'execution'],
      properties: { decision: reference('Decision'), execution: reference('Execution') },
    },
    Evaluation: { type: 'object', required: ['decision'], properties: { decision: reference('Decision') } },
    DecisionList: list('Decision'),
    ExecutionList: list('Execution'),
    FreezeList: list('Freeze'),
    NodeList: list('Node'),
    RejectionList: list('Rejection'),
    SignalList: list('Signal'),
  }
}

function reference(name: AnswerName | 'Problem'): object {
  return { $ref: `#/components/schemas/${name}` }
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

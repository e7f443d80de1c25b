/** Freezes: while one is active, nothing that it covers is started. */
import { v7 as uuidv7 } from 'uuid'
import type { Config } from '../../shared/config.ts'
import { isExecutionId } from '../../shared/execution-id.ts'
import { isName, NAME_RULE } from '../../shared/names.ts'
import { type Freeze, freezeSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { listQuery } from '../http/paging.ts'
import { type InputError, ProblemError } from '../http/problem.ts'
import { mergePages, orUnavailable } from '../ledgers.ts'
import type { Route } from '../route.ts'

export const freezeRoutes: readonly Route[] = [
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
]

/** `GET /v1/freezes`: those that hold, newest first. */
async function listFreezes(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const { limit, before } = listQuery(context.req.url, [])
  const lists = await orUnavailable(() =>
    ledgers.every(async (datacenter): Promise<Freeze[]> => ledgers.of(datacenter).freezes()),
  )
  // One that covers several datacenters is stored in the ledger of each.
  const freezes = [...new Map(lists.flat().map((freeze) => [freeze.id, freeze])).values()]
  const entries = freezes
    .filter(({ id }) => before === undefined || id < before)
    .map((freeze) => ({ key: freeze.id, item: freeze }))
  return context.json(mergePages([{ entries, more: false }], limit))
}

async function addFreeze(context: AppContext): Promise<Response> {
  const { config, ledgers } = context.var
  const { value } = parseBody(freezeSchema, context.req.raw, context.var.body)
  const now = Date.now()
  const errors = errorsIn(value.scope, config, ledgers.datacenters)
  const expiresAt = value.for !== undefined ? now + value.for : value.expires_at && Date.parse(value.expires_at)
  if (typeof expiresAt === 'number' && expiresAt <= now) {
    errors.push({ path: '/expires_at', message: 'is in the past' })
  }
  if (errors.length > 0) throw new ProblemError('bad_request', 'the freeze is not valid', { errors })
  const freeze: Freeze = {
    id: uuidv7(),
    scope: value.scope,
    reason: value.reason,
    caller: context.var.caller,
    created_at: new Date(now).toISOString(),
    expires_at: typeof expiresAt === 'number' ? new Date(expiresAt).toISOString() : null,
  }
  const covered = value.scope.datacenter === undefined ? ledgers.datacenters : [value.scope.datacenter]
  // Should one ledger fail, the others are frozen all the same: freezing too much is safe, and the request can be repeated.
  const outcomes = await Promise.allSettled(
    covered.map((datacenter) => orUnavailable(async () => ledgers.of(datacenter).freeze(freeze))),
  )
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return context.json(freeze, 201, { location: `/v1/freezes/${freeze.id}` })
}

async function removeFreeze(context: AppContext): Promise<Response> {
  const { ledgers, caller } = context.var
  const id = context.req.param('id') ?? ''
  const lift = async (datacenter: string): Promise<boolean> => ledgers.of(datacenter).lift(id, caller)
  const found = isExecutionId(id) ? await orUnavailable(() => ledgers.every(lift)) : []
  if (!found.includes(true)) throw new ProblemError('not_found', 'there is no such freeze')
  return context.body(null, 204)
}

/** A kill switch that covers nothing because of a typo would be worse than none. */
function errorsIn(
  { workflow, datacenter, node }: Freeze['scope'],
  config: Config,
  datacenters: readonly string[],
): InputError[] {
  const errors: InputError[] = []
  if (workflow !== undefined && !Object.hasOwn(config.workflows, workflow)) {
    errors.push({ path: '/scope/workflow', message: 'there is no such workflow' })
  }
  if (datacenter !== undefined && !datacenters.includes(datacenter)) {
    errors.push({ path: '/scope/datacenter', message: `this coordinator serves ${datacenters.join(', ')}` })
  }
  if (node !== undefined && !isName(node)) errors.push({ path: '/scope/node', message: `not a name: ${NAME_RULE}` })
  return errors
}

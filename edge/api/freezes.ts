/** Freezes: while one holds, nothing that it covers is started. */
import { v7 as uuidv7 } from 'uuid'
import { type Config, datacentersOf } from '../../shared/config.ts'
import { isExecutionId } from '../../shared/execution-id.ts'
import { isName, NAME_RULE } from '../../shared/names.ts'
import { type Freeze, freezeSchema } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { listQuery } from '../http/paging.ts'
import { type InputError, ProblemError } from '../http/problem.ts'
import { everyDatacenter, ledgerOf, mergePages, orUnavailable } from '../ledgers.ts'

/** `GET /v1/freezes`: those that hold, newest first. */
export async function listFreezes(context: AppContext, config: Config): Promise<Response> {
  const { limit, before } = listQuery(context.req.url, [])
  const lists = await orUnavailable(() =>
    everyDatacenter(config, async (datacenter): Promise<Freeze[]> => ledgerOf(context.env, datacenter).freezes()),
  )
  // One that covers several datacenters stands in the ledger of each.
  const freezes = [...new Map(lists.flat().map((freeze) => [freeze.id, freeze])).values()]
  const entries = freezes
    .filter(({ id }) => before === undefined || id < before)
    .map((freeze) => ({ key: freeze.id, item: freeze }))
  return context.json(mergePages([{ entries, more: false }], limit))
}

/** `POST /v1/freezes` */
export async function addFreeze(context: AppContext, config: Config): Promise<Response> {
  const { value } = parseBody(freezeSchema, context.req.raw, context.var.body)
  const now = Date.now()
  const errors = mistakes(config, value.scope)
  const expiresAt = value.for !== undefined ? now + value.for : value.expires_at && Date.parse(value.expires_at)
  if (typeof expiresAt === 'number' && expiresAt <= now) {
    errors.push({ path: '/expires_at', message: 'lies in the past' })
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
  const covered = value.scope.datacenter === undefined ? datacentersOf(config.coordinator) : [value.scope.datacenter]
  // Should one ledger fail, the others are frozen all the same: too much frozen is safe, and it can be said again.
  const outcomes = await Promise.allSettled(
    covered.map((datacenter) => orUnavailable(async () => ledgerOf(context.env, datacenter).freeze(freeze))),
  )
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return context.json(freeze, 201, { location: `/v1/freezes/${freeze.id}` })
}

/** `DELETE /v1/freezes/{id}` */
export async function removeFreeze(context: AppContext, config: Config): Promise<Response> {
  const id = context.req.param('id') ?? ''
  const found = isExecutionId(id)
    ? await orUnavailable(() =>
        everyDatacenter(config, async (datacenter): Promise<boolean> => ledgerOf(context.env, datacenter).thaw(id)),
      )
    : []
  if (!found.includes(true)) throw new ProblemError('not_found', 'there is no such freeze')
  return context.body(null, 204)
}

/** A kill switch that covers nothing because of a slip of the pen would be worse than none. */
function mistakes(config: Config, { workflow, datacenter, node }: Freeze['scope']): InputError[] {
  const errors: InputError[] = []
  if (workflow !== undefined && !Object.hasOwn(config.workflows, workflow)) {
    errors.push({ path: '/scope/workflow', message: 'there is no such workflow' })
  }
  const owned = datacentersOf(config.coordinator)
  if (datacenter !== undefined && !owned.includes(datacenter)) {
    errors.push({ path: '/scope/datacenter', message: `this coordinator serves ${owned.join(', ')}` })
  }
  if (node !== undefined && !isName(node)) errors.push({ path: '/scope/node', message: `not a name: ${NAME_RULE}` })
  return errors
}

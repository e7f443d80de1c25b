/** Live nodes and their heartbeats. */
import { isExecutionId } from '../../shared/execution-id.ts'
import { type Heartbeat, type HeartbeatAnswer, heartbeatSchema } from '../../shared/heartbeat.ts'
import { isName, NAME_RULE, queuesOfNode } from '../../shared/names.ts'
import type { Freeze, LiveNode } from '../../shared/wire.ts'
import { rejections } from '../access/rejections.ts'
import type { AppContext } from '../context.ts'
import { parseBody } from '../http/body.ts'
import { namedPage } from '../http/paging.ts'
import { type InputError, jsonPointer, ProblemError } from '../http/problem.ts'
import { orUnavailable } from '../ledgers.ts'
import type { Route } from '../route.ts'

export const nodeRoutes: readonly Route[] = [
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
    answers: { 200: 'HeartbeatAnswer', 204: null },
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
]

async function listNodes(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const lists = await orUnavailable(() =>
    ledgers.every(async (datacenter): Promise<LiveNode[]> => ledgers.roster(datacenter).nodes()),
  )
  const nodes = lists.flat().sort((a, b) => (a.node < b.node ? -1 : 1))
  return context.json(namedPage(context.req.url, nodes, (node) => node.node))
}

async function showNode(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const name = context.req.param('node') ?? ''
  const ask = async (datacenter: string): Promise<LiveNode | null> => ledgers.roster(datacenter).node(name)
  return context.json(await ledgers.find(isName(name), 'live node', ask))
}

/** `PUT /v1/nodes/{node}`: a heartbeat. */
async function beat(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const node = context.req.param('node') ?? ''
  if (!isName(node)) throw new ProblemError('not_found', `a node's name is ${NAME_RULE}`)
  const { value: heartbeat } = parseBody(heartbeatSchema, context.req.raw, context.var.body)
  const owned = ledgers.datacenters
  const errors = errorsIn(node, heartbeat, owned)
  if (errors.length > 0) throw new ProblemError('bad_request', 'the heartbeat is not valid', { errors })
  // A hint that can't be one is ignored: it must not cost a node its life.
  const closed = heartbeat.closed.filter((id) => isExecutionId(id))
  for (const { execution, reason } of heartbeat.refused) {
    rejections.count('bad_permit', `execution:${execution}`, node, reason, Date.now())
  }
  const ledger = ledgers.of(heartbeat.datacenter)
  const { freezes, executions } = await orUnavailable(async () => {
    await Promise.all([
      ...owned.map(async (datacenter) => {
        if (datacenter === heartbeat.datacenter) await ledgers.roster(datacenter).beat(node, heartbeat)
        else await ledgers.roster(datacenter).forget(node)
      }),
      // The ledger receives a heartbeat only when it reports that something ended.
      ...(closed.length === 0 ? [] : [ledger.hintClosed(closed)]),
    ])
    if (heartbeat.confirm.length > 0) return ledger.clearance(heartbeat.confirm)
    return { freezes: await recentFreezes(heartbeat.datacenter, () => ledger.freezes()), executions: [] }
  })
  if (freezes.length === 0 && executions.length === 0) return context.body(null, 204)
  return context.json({ freezes, executions } satisfies HeartbeatAnswer)
}

/** Hosts beat every few seconds, and there may be thousands: their ledger is asked once for all of them. */
const FREEZES_TTL_MS = 1000

const recent = new Map<string, { at: number; freezes: Freeze[] }>()

async function recentFreezes(datacenter: string, ask: () => Promise<Freeze[]>): Promise<Freeze[]> {
  const known = recent.get(datacenter)
  const at = Date.now()
  if (known !== undefined && at >= known.at && at - known.at < FREEZES_TTL_MS) return known.freezes
  const freezes = await ask()
  recent.set(datacenter, { at, freezes })
  return freezes
}

/** `POST /v1/nodes/{node}/forget`: it is gone for good, and no longer missed. One that lives is known again by its next beat. */
async function forgetNode(context: AppContext): Promise<Response> {
  const { ledgers } = context.var
  const node = context.req.param('node') ?? ''
  const known = isName(node)
    ? await orUnavailable(() =>
        ledgers.every(async (datacenter): Promise<boolean> => ledgers.roster(datacenter).forget(node)),
      )
    : []
  if (!known.includes(true)) throw new ProblemError('not_found', 'no such node is known')
  return context.body(null, 204)
}

/** Checks what a node claims about itself: valid names, and no queues but its own. */
function errorsIn(node: string, heartbeat: Heartbeat, owned: readonly string[]): InputError[] {
  const { datacenter, types, queues } = heartbeat
  const errors: InputError[] = []
  const check = (ok: boolean, path: readonly PropertyKey[], message: string): void => {
    if (!ok) errors.push({ path: jsonPointer(path), message })
  }
  check(owned.includes(datacenter), ['datacenter'], `this coordinator serves ${owned.join(', ')}`)
  types.forEach((type, index) => {
    check(isName(type), ['types', index], `not a name: ${NAME_RULE}`)
  })
  const permitted = queuesOfNode(datacenter, node, types)
  queues.forEach((queue, index) => {
    check(
      permitted.includes(queue.name),
      ['queues', index, 'name'],
      `not a queue of this node: ${permitted.join(', ')}`,
    )
  })
  return errors
}

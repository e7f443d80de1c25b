/** The activities `readPool`, `drainServer` and `returnServer`. */
import { ApplicationFailure } from '@temporalio/common'
import type { LoadBalancerConfig } from '../../../../shared/config.ts'
import { isName } from '../../../../shared/names.ts'
import type { PoolRequest } from '../../../../workflows/sdk/activities.ts'
import type { HostActivities } from '../../../../workflows/sdk/host.ts'
import { carryOut } from '../../journal/run-once.ts'
import type { ChangeScope } from '../../permits/gate.ts'
import { type CommandHost, execute, resolveCommand } from '../run-command.ts'
import { balancerByCommand, MAX_LIST_BYTES } from './by-command.ts'
import { haproxy } from './haproxy.ts'
import { httpHook } from './http-hook.ts'
import type { LoadBalancer } from './load-balancer.ts'
import { drainServer, type Pool, readPool, returnServer } from './pool.ts'

/** A host that can control load balancers. */
export interface PoolHost extends CommandHost {
  loadBalancers: Readonly<Record<string, LoadBalancerConfig>>
}

/**
 * A change of a pool needs a permit for the node that is drained or returned, whichever host controls the load balancer.
 *
 * @throws ApplicationFailure, not retried: `UnknownPool`, `InvalidParams`, those of {@link drainServer},
 *   {@link returnServer} and {@link carryOut}
 */
export function poolActivities(host: PoolHost): Pick<HostActivities, 'readPool' | 'drainServer' | 'returnServer'> {
  return {
    readPool: async (request) => readPool(poolOf(host, request.pool), request),
    drainServer: (request) =>
      change(host, 'drain', request, (pool) => drainServer(pool, request.node, request.minServers)),
    returnServer: (request) => change(host, 'return', request, (pool) => returnServer(pool, request.node)),
  }
}

function change<Result>(
  host: PoolHost,
  verb: 'drain' | 'return',
  { pool: name, node }: PoolRequest,
  effect: (pool: Pool) => Promise<Result>,
): Promise<Result> {
  const pool = poolOf(host, name)
  if (!isName(node))
    throw ApplicationFailure.nonRetryable(`${JSON.stringify(node)} is not the name of a node`, 'InvalidParams')
  // To set a server to the same state twice is the same as once.
  return carryOut(host, {
    what: `${verb} ${node}, pool ${name}`,
    subject: node,
    ...bindingIn(host, name, verb),
    repeatable: true,
    effect: () => effect(pool),
  })
}

/** The command that changes a pool, where one does: the operator names it in the pool's block, so it may name no workflows. */
function bindingIn(host: PoolHost, pool: string, verb: 'drain' | 'return'): Pick<ChangeScope, 'binding'> {
  const adapter = host.loadBalancers[pool]?.command
  if (adapter === undefined) return {}
  const name = verb === 'drain' ? adapter.drain : adapter.restore
  return { binding: { name, workflows: host.commands[name]?.workflows } }
}

function poolOf(host: PoolHost, name: string): Pool {
  const config = Object.hasOwn(host.loadBalancers, name) ? host.loadBalancers[name] : undefined
  if (config === undefined) {
    throw ApplicationFailure.nonRetryable(`${host.node} knows no load_balancer ${JSON.stringify(name)}`, 'UnknownPool')
  }
  const { min_servers: minServers, servers: serverNames } = config
  return { name, minServers, serverNames, balancer: balancerOf(host, config) }
}

function balancerOf(host: PoolHost, config: LoadBalancerConfig): LoadBalancer {
  const { haproxy: proxy, http, command, timeout } = config
  if (proxy !== undefined) return haproxy({ ...proxy, timeout })
  if (http !== undefined) return httpHook({ url: http.url, tokenFile: http.token_file ?? null, timeout })
  if (command === undefined) throw new Error('a load_balancer without an adapter')
  return balancerByCommand(command, (name, params) =>
    execute(host, resolveCommand(host, { name, params }), { maxOutputBytes: MAX_LIST_BYTES }),
  )
}

/** A pool of servers as the tests of workflows play it. */

import { ApplicationFailure } from '@temporalio/common'
import type { PlayedHost } from '../../host-worker/testing/workflow-rig.ts'
import type { PoolChange, PoolServer, PoolState } from '../sdk/index.ts'

/** Servers that a test looks at and changes. */
export interface PlayedPool {
  servers: PoolServer[]
  activities: Pick<Required<PlayedHost>, 'readPool' | 'drainServer' | 'returnServer'>
}

/** Three servers that serve; a drain that would leave fewer than one is refused. */
export function playedPool(): PlayedPool {
  const servers = ['web-1', 'web-2', 'web-3'].map(
    (node): PoolServer => ({ node, inRotation: true, serving: true, sessions: 0, state: 'UP' }),
  )
  const state = (): PoolState => ({ pool: 'web', minServers: 1, servers: servers.map((server) => ({ ...server })) })
  const set = (node: string, inRotation: boolean): PoolChange => {
    const before = state()
    const server = servers.find((candidate) => candidate.node === node)
    if (server === undefined) throw ApplicationFailure.nonRetryable('no such server', 'UnknownServer')
    const changed = server.inRotation !== inRotation
    Object.assign(server, { inRotation, serving: inRotation, state: inRotation ? 'UP' : 'DRAIN' })
    return { changed, before, after: state() }
  }
  return {
    servers,
    activities: {
      readPool: async ({ node }) => ({
        ...state(),
        servers: state().servers.filter((server) => node === undefined || server.node === node),
      }),
      drainServer: async ({ node, minServers = 0 }) => {
        const left = servers.filter((server) => server.serving && server.node !== node).length
        if (left < Math.max(1, minServers)) throw ApplicationFailure.nonRetryable('too few', 'too_few_servers')
        return set(node, false)
      },
      returnServer: async ({ node }) => set(node, true),
    },
  }
}

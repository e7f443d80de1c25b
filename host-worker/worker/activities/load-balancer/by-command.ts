/** A load balancer that is controlled by commands of the host's allow-list. */
import type { CommandResult } from '../../../../workflows/sdk/activities.ts'
import { isCut } from '../../../process/run-process.ts'
import type { LoadBalancer } from './load-balancer.ts'
import { poolUnreadable, readServers } from './servers-json.ts'

/** Largest list of servers, in bytes: some tens of thousands of them. */
export const MAX_LIST_BYTES = 4 * 1024 * 1024

/** Names of the commands. */
export interface BalancerCommands {
  /** Prints the servers as JSON. */
  list: string
  /** Both take the parameter `server`. */
  drain: string
  restore: string
}

/** @param run runs an allow-listed command, and keeps {@link MAX_LIST_BYTES} of its output */
export function balancerByCommand(
  { list, drain, restore }: BalancerCommands,
  run: (name: string, params: Record<string, string>) => Promise<CommandResult>,
): LoadBalancer {
  async function succeed(name: string, params: Record<string, string>): Promise<string> {
    const { exitCode, stdout, stderr } = await run(name, params)
    if (exitCode !== 0) throw new Error(`command ${name} exited with ${exitCode}: ${(stderr || stdout).slice(0, 200)}`)
    return stdout
  }
  return {
    async read() {
      const text = await succeed(list, {})
      if (isCut(text)) throw poolUnreadable(`command ${list} prints more than ${MAX_LIST_BYTES} bytes`)
      return readServers(text, `command ${list}`)
    },
    async setInRotation(server, inRotation) {
      await succeed(inRotation ? restore : drain, { server })
    },
  }
}

/** A load balancer that is controlled by commands of the host's allow-list. */
import type { CommandResult } from '../../../../workflows/sdk/activities.ts'
import type { LoadBalancer } from './load-balancer.ts'
import { readServers } from './servers-json.ts'

/** Names of the commands. */
export interface BalancerCommands {
  /** Prints the servers as JSON. */
  list: string
  /** Both take the parameter `server`. */
  drain: string
  restore: string
}

/** @param run runs an allow-listed command */
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
    read: async () => readServers(await succeed(list, {})),
    async setInRotation(server, inRotation) {
      await succeed(inRotation ? restore : drain, { server })
    },
  }
}

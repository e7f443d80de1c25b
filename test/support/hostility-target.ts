/** One coordinator that takes all kinds of hostile requests, and has to be the same process afterwards. */
import { expect } from 'vitest'
import { type Dev, startDev } from './dev.ts'
import { napping, writeProject } from './files.ts'
import type { Answer } from './http.ts'
import { sendRaw } from './raw-http.ts'

const anywhere = 'task_queue_target = "datacenter"'

/** A `resile dev` whose workflow `strict` is particular about its input. */
export class HostilityTarget {
  readonly dev: Dev
  readonly #coordinatorPid: number

  private constructor(dev: Dev) {
    this.dev = dev
    this.#coordinatorPid = dev.pid('coordinator')
  }

  static async start(): Promise<HostilityTarget> {
    const project = writeProject({
      ...napping('nap', anywhere),
      ...napping('node-nap', 'task_queue_target = "node"'),
      ...napping(
        'strict',
        `${anywhere}
    input "unit" {
      type = "string"
      required = true
      pattern = "^[a-z]+$"
    }
    input "count" { type = "number" }
    input "force" {
      type = "bool"
      default = false
    }
    input "more" { type = "object" }`,
      ),
    })
    return new HostilityTarget(await startDev({ project, nodes: ['web-1:web'] }))
  }

  /** Holds that the same process serves the next request. */
  async stillServes(): Promise<void> {
    expect((await this.dev.call('/v1/workflows/nap')).status).toBe(200)
    expect(this.dev.pid('coordinator')).toBe(this.#coordinatorPid)
  }

  /** Starts a workflow. */
  async start(body: unknown, headers: Record<string, string> = {}, name = 'nap'): Promise<Answer<unknown>> {
    const answer = await this.dev.start(name, body, { 'content-type': 'application/json', ...headers })
    await this.stillServes()
    return answer
  }

  /** Sends bytes as they are. */
  async raw(bytes: string | Buffer): Promise<Answer<unknown>> {
    const answer = await sendRaw(this.dev.coordinator, bytes)
    await this.stillServes()
    return answer
  }
}

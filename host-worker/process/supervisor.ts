import { EventEmitter } from 'node:events'
import type { Guardian } from './guardian.ts'
import { recordChildren } from './orphans.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { type ChildChange, type ChildHooks, type ChildSpec, SupervisedChild } from './supervised-child.ts'

export { type ChildChange, type ChildSpec, ChildStartError } from './supervised-child.ts'

/** Gets the list of running processes, so that none survives the supervisor. */
export interface SupervisorOptions {
  /** Ends the children when this process dies. */
  guardian?: Guardian
  /** The data directory, where the next run finds what this one left behind. */
  dataDirectory?: string
}

/** A running child. */
export interface RunningChild {
  role: string
  name: string
  pid: number
}

/** Runs named children, keeps them running, and stops them in the reverse order of their start. */
export class Supervisor extends EventEmitter<{ change: [ChildChange] }> {
  readonly #options: SupervisorOptions
  readonly #children = new Map<string, SupervisedChild>()
  readonly #groups = new Map<number, ProcessIdentity>()
  #stopped: Promise<void> | undefined

  constructor(options: SupervisorOptions = {}) {
    super()
    this.#options = options
  }

  /** Starts a child and waits until it is ready; throws a `ChildStartError` with its last output if it does not get there. */
  async start(spec: ChildSpec): Promise<void> {
    if (this.#stopped !== undefined) throw new Error(`${spec.name} is not started: all is being stopped`)
    if (this.#children.has(spec.name)) throw new Error(`there is a child named ${spec.name} already`)
    const child = new SupervisedChild(spec, this.#hooks)
    this.#children.set(spec.name, child)
    try {
      await child.start()
    } catch (error) {
      this.#children.delete(spec.name)
      throw error
    }
  }

  /** Stops one child for good: SIGTERM, and SIGKILL after its grace. */
  async stop(name: string): Promise<void> {
    const child = this.#children.get(name)
    if (child === undefined) return
    await child.stop()
    this.#children.delete(name)
  }

  /** Kills one that no longer answers; it is restarted like one that died. */
  kill(name: string): void {
    this.#children.get(name)?.kill()
  }

  /** Stops all, the last one first. Nothing can be started afterwards. */
  stopAll(): Promise<void> {
    this.#stopped ??= this.#stopEach()
    return this.#stopped
  }

  /** The children that run now, in the order of their first start. */
  processes(): RunningChild[] {
    return [...this.#children.values()].flatMap(({ spec: { role, name }, pid }) =>
      pid === undefined ? [] : [{ role, name, pid }],
    )
  }

  /** How often a child was started, restarts included. */
  startsCount(name: string): number {
    return this.#children.get(name)?.starts ?? 0
  }

  async #stopEach(): Promise<void> {
    for (const name of [...this.#children.keys()].reverse()) await this.stop(name)
  }

  readonly #hooks: ChildHooks = {
    change: (change) => {
      this.emit('change', change)
    },
    groupStarted: (leader) => {
      this.#options.guardian?.watch(leader)
      this.#groups.set(leader.pid, leader)
      this.#record()
    },
    groupGone: (leader) => {
      this.#options.guardian?.forget(leader)
      this.#groups.delete(leader.pid)
      this.#record()
    },
  }

  #record(): void {
    const { dataDirectory } = this.#options
    if (dataDirectory !== undefined) recordChildren(dataDirectory, [...this.#groups.values()])
  }
}

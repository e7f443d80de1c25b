/** What goes to and comes from a host's activities. */

/** A command of the host's allow-list, with values for its parameters. */
export interface CommandRequest {
  name: string
  params?: Record<string, string>
}

/** How a command ended. Output beyond the cap is cut, and says so. */
export interface CommandResult {
  /** 128 + n when signal n ended it, 127 when it could not be started. */
  exitCode: number
  stdout: string
  stderr: string
  durationMs: number
}

/** One HTTP check. */
export interface CheckRequest {
  url: string
  /** Default 200. */
  expectStatus?: number
  /** A duration such as `"5s"`, the default. */
  timeout?: string
}

/** What a check found; `status` is 0 when there was no answer. */
export interface CheckResult {
  ok: boolean
  status: number
  durationMs: number
  error?: string
}

/** A host's state, as an engineer would look at it first. Sizes in bytes, times in seconds. */
export interface Diagnostics {
  node: string
  at: string
  uptime: number
  load: number[]
  cpus: number
  memory: { total: number; free: number }
  disk: { path: string; total: number; free: number } | null
  /** The processes that use most memory. */
  processes: { pid: number; name: string; state: string; memory: number }[]
}

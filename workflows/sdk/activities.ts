/** Arguments and results of a host's activities. */

/** What a host's activity says with its heartbeats. */
export interface HeartbeatDetails {
  /** What it waits for, such as another execution's change of the host. */
  waiting_for?: string
  /** Whether it has begun to change the host. */
  begun?: boolean
}

/** A command of the host's allow-list, with values for its parameters. */
export interface CommandRequest {
  name: string
  params?: Record<string, string>
  /**
   * Whether it goes on when the worker of its host ends in the middle of it, and a later attempt waits for its end.
   * Otherwise it is ended with the worker.
   */
  outlivesWorker?: boolean
}

/** How a command ended. Output beyond the cap is cut, and says so. */
export interface CommandResult {
  /** 128 + n when signal n ended it, 127 when it could not be started. */
  exitCode: number
  stdout: string
  stderr: string
  durationMs: number
}

/** The process that a command would run. */
export interface CommandDescription {
  name: string
  argv: string[]
  timeoutMs: number
  readOnly: boolean
}

/** A reboot by one of the host's commands. */
export interface RebootRequest {
  /** Name of the command, as the host's worker.hcl allows it. */
  command: string
  params?: Record<string, string>
  /** How long the machine may take until it has booted, a duration such as `"10m"`. */
  within: string
}

/** A reboot that has happened. */
export interface RebootResult {
  previousBootId: string
  bootId: string
  /** From the order until the new boot was seen, in milliseconds. */
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

/** The finding of a check; `status` is 0 when there was no answer. */
export interface CheckResult {
  ok: boolean
  status: number
  durationMs: number
  error?: string
  /** True when the checker could not ask: no address, no route, an untrusted certificate. It says nothing of the service. */
  unknown?: boolean
}

/** A host's state, as an engineer would check it first. Sizes in bytes, times in seconds. */
export interface Diagnostics {
  node: string
  at: string
  uptime: number
  load: number[]
  cpus: number
  memory: { total: number; free: number }
  disk: { path: string; total: number; free: number } | null
  /** The processes that use most memory. */
  processes: { pid: number; name: string; command: string | null; state: string; memory: number }[]
}

/** One server of a load balancer's pool. */
export interface PoolServer {
  /** The node's name. */
  node: string
  /** Whether the load balancer would send it new requests if it is healthy: it is neither drained nor in maintenance. */
  inRotation: boolean
  /** True when only some of several load balancers would. */
  partly?: boolean
  /** Whether it takes requests now. */
  serving: boolean
  /** Of a backup: whether it would take them if no other server could. Backups don't count as serving. */
  standby?: boolean
  /** True while the load balancer's health check has found it well, but not for long enough yet. */
  rising?: boolean
  /** Requests or connections in progress; null when the load balancer doesn't say. */
  sessions: number | null
  /** The load balancer's own word. */
  state: string
}

/** A pool of servers as its load balancer sees it. */
export interface PoolState {
  pool: string
  /** Fewest servers that a drain may leave serving. */
  minServers: number
  servers: PoolServer[]
  /** How many more servers there are that serve; a large pool lists only those that don't, and the node in question. */
  omitted?: number
}

/** Asks for a pool's state. */
export interface PoolLookup {
  pool: string
  /** Only this node's servers. */
  node?: string
  /** This node's servers, and of a large pool few of the others. */
  about?: string
}

/** Takes a node out of a pool, or brings it back. */
export interface PoolRequest {
  /** Name of the pool, as the host's worker.hcl has it. */
  pool: string
  node: string
  /** More than the host's own `min_servers`; less doesn't count. */
  minServers?: number
}

/** The state before and after a change of a pool. */
export interface PoolChange {
  /** False when it was so already. */
  changed: boolean
  before: PoolState
  after: PoolState
}

/** Asks for a bundle of what worker.hcl's `diagnostics` allows. */
export interface BundleRequest {
  /** Only says what would be in it. */
  dryRun?: boolean
}

/** One part of a bundle. */
export interface BundleEntry {
  name: string
  /** Bytes in the bundle, after redaction and before compression. */
  bytes: number
  /** Whether its beginning was omitted for lack of space. */
  cut: boolean
  /** Passages that were made unreadable. */
  redactions: number
  /** Why it is not there; null when it is. */
  error: string | null
}

/** A bundle on the host's disk. */
export interface BundleReport {
  /** Null in a dry run. */
  path: string | null
  bytes: number
  /** SHA-256 of the file, in hex; null in a dry run. */
  sha256: string | null
  entries: BundleEntry[]
}

/** Asks for room on a disk, by a rule of worker.hcl's `free_disk`. */
export interface FreeDiskRequest {
  rule: string
  /** Stops once this part of the file system is free, in percent; without it, all that the rule covers is removed. */
  untilFreePercent?: number
  /** Only says what would be removed. */
  dryRun?: boolean
}

/** Room on the file system of a path. Bytes. */
export interface DiskRoom {
  path: string
  total: number
  free: number
  freePercent: number
}

/** The removed files. */
export interface FreeDiskReport {
  /** Of the first path that could be read. */
  before: DiskRoom
  after: DiskRoom
  /** Of each file system that the rule's paths are on; hosts of earlier versions measured the first path's alone. */
  fileSystems?: { before: DiskRoom; after: DiskRoom }[]
  /** Files removed, and the bytes that they took on the disk. */
  files: number
  bytes: number
  /** The first of them, oldest first. */
  removed: { path: string; bytes: number; modified: string }[]
  /** Paths that could not be read or removed. */
  errors: string[]
}

/** Asks for a test of one revision of a repository that worker.hcl allows. */
export interface TestRevisionRequest {
  repository: string
  /** A commit, or a reference such as `refs/pull/7/head`. */
  revision: string
  /** Name of the command that tests it. */
  test: string
}

/** How a test went. */
export interface TestRevisionReport {
  /** The commit that was tested. */
  commit: string
  test: CommandResult
}

/** What a worker has to know: from the command that has read the project to the process that serves the queues. */
import type { WorkerConfig } from '../../shared/config.ts'
import type { CoordinatorAddress } from '../net/coordinator-client.ts'
import type { PlanSource } from '../process/reloadable.ts'
import type { StoredBundle } from './bundle-store.ts'

/** How a worker runs. */
export interface WorkerRun {
  config: WorkerConfig
  /** The project, working directory of commands. */
  directory: string
  /** Where the node keeps its journal and all that is its own; held by one worker. */
  data: string
  coordinator: CoordinatorAddress
  /** Whether it carries out activities; one that does not changes no host, and takes workflow tasks alone. */
  activities: boolean
  /** Whose workflow tasks it takes: of no queue, of its datacenter's general queue, or of all its queues. */
  workflows: 'none' | 'datacenter' | 'all'
  /** Wanted unless `workflows` is `none`. */
  bundle: StoredBundle | null
  /** Ends the worker gracefully when it aborts. */
  signal: AbortSignal
  /** Called once all queues are polled, or it is known that they can't be because Temporal does not answer. */
  onStarted: () => void
  /** Called when an activity begins (1) or ends (-1). */
  onActivity: (change: 1 | -1) => void
}

/** The same as JSON. */
export type WorkerPlan = Omit<WorkerRun, 'signal' | 'onStarted' | 'onActivity'> & { source: PlanSource }

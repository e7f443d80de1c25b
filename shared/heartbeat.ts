/** `PUT /v1/nodes/{node}`: what a node says of itself, and what it is told. */
import { z } from 'zod'
import { PERMIT_REFUSALS } from './permit.ts'
import { freezeAnswerSchema } from './wire.ts'

/** Body of `PUT /v1/nodes/{node}`: one heartbeat. */
export const heartbeatSchema = z.strictObject({
  datacenter: z.string(),
  types: z.array(z.string()).max(100).default([]),
  labels: z.record(z.string(), z.string()).default({}),
  build_id: z.string().optional(),
  /** Of Resile on the node. */
  version: z.string().max(100).optional(),
  boot_id: z.string().optional(),
  draining: z.boolean().default(false),
  queues: z
    .array(
      z.strictObject({
        name: z.string(),
        workflow_types: z.array(z.string()).max(1000).default([]),
        activity_types: z.array(z.string()).max(1000).default([]),
      }),
    )
    .max(200)
    .default([]),
  closed: z.array(z.string()).default([]),
  /** Ids of executions for which the host is about to change something; the answer says of each whether it may. */
  confirm: z.array(z.string()).max(100).default([]),
  /** Permits that the host has refused since its last heartbeat. */
  refused: z
    .array(z.strictObject({ execution: z.string().max(1000), reason: z.enum(PERMIT_REFUSALS) }))
    .max(100)
    .default([]),
})

/** Whether a host may change anything for an execution. */
const clearanceSchema = z.strictObject({
  id: z.string(),
  /**
   * `open`, as the coordinator knows; `closed`; `over_limit`: it had ended, runs again, and another was admitted meanwhile;
   * `unknown` to this coordinator.
   */
  status: z.enum(['open', 'closed', 'over_limit', 'unknown']),
  /** Of the run that the admitted start began; null before that is confirmed, and for one that was imported. */
  first_run_id: z.string().nullable(),
})

/** The answer to a heartbeat: what the host must know before it changes anything. */
export const heartbeatAnswerSchema = z.strictObject({
  /** The active freezes of its datacenter. */
  freezes: z.array(freezeAnswerSchema),
  /** Of those that were asked for. */
  executions: z.array(clearanceSchema),
})

export type Heartbeat = z.output<typeof heartbeatSchema>
export type Clearance = z.output<typeof clearanceSchema>
export type HeartbeatAnswer = z.output<typeof heartbeatAnswerSchema>

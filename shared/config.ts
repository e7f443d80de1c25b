/**
 * The configuration schema, in one place. The compiler checks HCL against it, the coordinator reads the compiled document with it, and
 * tests check the reference in docs/reference against it.
 *
 * Shape of the input side: blocks without labels that may repeat are arrays (`constraint`, `route_rule`), labelled
 * blocks are objects keyed by label (`input`, `command`, `detector`), single blocks are objects. Durations are text
 * on the input side and milliseconds (`…_ms`-free names, always milliseconds) on the output side.
 */
import { z } from 'zod'
import { coordinatorSchema } from './config/coordinator.ts'
import { pushDetectorsSchema } from './config/detectors.ts'
import { flag, name, text } from './config/fields.ts'
import { workflowSchema } from './config/workflow.ts'

export * from './config/coordinator.ts'
export * from './config/detectors.ts'
export { type TemporalCredentials, usesTls } from './config/temporal.ts'
export * from './config/worker.ts'
export * from './config/workflow.ts'

/** Version of the compiled document's shape; a coordinator refuses any other. */
export const CONFIG_VERSION = 1

/** The coordinator's configuration: one validated, versioned document. `hash` identifies its content. */
export const documentSchema = z.strictObject({
  version: z.literal(CONFIG_VERSION),
  hash: text,
  /** When a coordinator in a datacenter read its files; absent at the edge. ISO 8601. */
  loaded_at: z.iso.datetime().optional(),
  /** True only when `resile dev` or `wrangler dev` compiled it: then a missing `server_config` lets every caller pass. */
  development: flag,
  coordinator: coordinatorSchema,
  workflows: z.record(name, workflowSchema),
  /** Those whose signals are pushed to the coordinator. */
  detectors: pushDetectorsSchema.default({}),
})

/** The compiled document as it is stored and handed to the Worker. */
export type ConfigDocument = z.input<typeof documentSchema>
/** The compiled document as the coordinator uses it. */
export type Config = z.output<typeof documentSchema>

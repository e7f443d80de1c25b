/** Configured workflows, and what follows from their configuration alone. */
import { type Config, type Constraint, datacentersOf, defaultWorkflowType, type WorkflowConfig } from './config.ts'

/** A configured workflow under its name. */
export interface Workflow extends WorkflowConfig {
  name: string
  /** Temporal's workflow type. */
  type: string
}

/** A constraint of a workflow on a certain coordinator. */
export type ResolvedConstraint = Constraint & {
  /** Whether the workflow's GlobalLedger counts it, over all datacenters; else each datacenter's ledger does. */
  isCentral: boolean
}

/** All workflows, by name. */
export function allWorkflows(config: Config): Workflow[] {
  return Object.entries(config.workflows)
    .map(([name, workflow]) => namedWorkflow(name, workflow))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

export function namedWorkflow(name: string, config: WorkflowConfig): Workflow {
  return { ...config, name, type: config.workflow_type ?? defaultWorkflowType(name) }
}

/** The workflows with an `exclusive` constraint. */
export function exclusiveWorkflows(config: Config): string[] {
  return allWorkflows(config).flatMap(({ name, constraint }) =>
    constraint.some(({ kind }) => kind === 'exclusive') ? [name] : [],
  )
}

/** A workflow's constraints with who counts them: `is_global` ones are counted centrally where there are several datacenters. */
export function resolveConstraints(
  { coordinator }: Pick<Config, 'coordinator'>,
  { constraint }: Pick<WorkflowConfig, 'constraint'>,
): ResolvedConstraint[] {
  const isSpread = datacentersOf(coordinator).length > 1
  return constraint.map((one) => ({ ...one, isCentral: one.is_global && isSpread }))
}

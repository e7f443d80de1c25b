import { type Config, defaultWorkflowType, type WorkflowConfig } from '../../shared/config.ts'
import { isName } from '../../shared/names.ts'
import { ProblemError } from '../http/problem.ts'

/** A configured workflow under its name. */
export interface Workflow extends WorkflowConfig {
  name: string
  type: string
}

/**
 * The workflow of that name.
 *
 * @throws ProblemError `unknown_workflow`, also for what can't be a name
 */
export function findWorkflow(config: Config, name: string): Workflow {
  const workflow = isName(name) && Object.hasOwn(config.workflows, name) ? config.workflows[name] : undefined
  if (workflow === undefined) throw new ProblemError('unknown_workflow', `there is no workflow "${name.slice(0, 100)}"`)
  return toWorkflow(name, workflow)
}

/** All workflows, by name. */
export function allWorkflows(config: Config): Workflow[] {
  return Object.entries(config.workflows)
    .map(([name, workflow]) => toWorkflow(name, workflow))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function toWorkflow(name: string, config: WorkflowConfig): Workflow {
  return { ...config, name, type: config.workflow_type ?? defaultWorkflowType(name) }
}

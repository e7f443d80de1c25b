import type { Config } from '../../shared/config.ts'
import { isName } from '../../shared/names.ts'
import { namedWorkflow, type Workflow } from '../../shared/workflows.ts'
import { ProblemError } from '../http/problem.ts'

/**
 * The workflow of a name.
 *
 * @throws ProblemError `unknown_workflow`, also for what is not a valid name
 */
export function findWorkflow(config: Config, name: string): Workflow {
  const workflow = isName(name) && Object.hasOwn(config.workflows, name) ? config.workflows[name] : undefined
  if (workflow === undefined) throw new ProblemError('unknown_workflow', `there is no workflow "${name.slice(0, 100)}"`)
  return namedWorkflow(name, workflow)
}

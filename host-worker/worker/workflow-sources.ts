import type { Project } from '../config/project.ts'

/** The workflows of a project that have code. */
export function workflowSources(project: Project): { type: string; code: string }[] {
  return Object.values(project.workflows).flatMap(({ workflowType, code }) =>
    code === null ? [] : [{ type: workflowType, code }],
  )
}

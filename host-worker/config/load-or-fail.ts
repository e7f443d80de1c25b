import { CommandError } from '../process/exit-codes.ts'
import { formatDiagnostic } from './check.ts'
import { type LoadOptions, loadProject, type Project } from './project.ts'

/**
 * Loads a project for a command that needs it whole; its warnings go to stderr.
 *
 * @throws CommandError with one line per mistake
 */
export async function loadOrFail(directory: string, options: LoadOptions): Promise<Project> {
  const { project, errors, warnings } = await loadProject(directory, options)
  for (const warning of warnings) console.error(formatDiagnostic(warning, 'warning'))
  if (project === null) {
    throw new CommandError(['the project has errors:', ...errors.map((error) => formatDiagnostic(error))].join('\n'))
  }
  return project
}

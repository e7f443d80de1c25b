import { checkProject, formatDiagnostic, toJson } from '../config/check.ts'
import { EXIT } from '../process/exit-codes.ts'

/** `resile check`: prints every mistake of every file; exit code 1 when there is one. */
export async function check(options: { project: string; json: boolean }): Promise<void> {
  const result = await checkProject(options.project)
  if (options.json) {
    console.log(JSON.stringify(toJson(result)))
  } else {
    for (const error of result.errors) console.log(formatDiagnostic(error))
    for (const warning of result.warnings) console.error(formatDiagnostic(warning, 'warning'))
    if (result.ok) console.log('ok')
  }
  process.exitCode = result.ok ? EXIT.ok : EXIT.failed
}

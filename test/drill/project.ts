/** The project of a drill. */
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import type { DrillWorkflow, Rule } from './workflows.ts'

/** The command line of this repository's `resile`, to be run by this Node. */
export const RESILE = ['--disable-warning=ExperimentalWarning', join(PACKAGE_ROOT, 'host-worker/cli/main.ts')]

/**
 * Writes a project with all these kinds of workflows.
 *
 * @throws when `resile check` finds anything wrong with it
 */
export async function writeProject(
  directory: string,
  datacenters: readonly string[],
  kinds: readonly DrillWorkflow[],
): Promise<void> {
  await mkdir(join(directory, 'workflows'), { recursive: true })
  const quoted = datacenters.map((name) => `"${name}"`)
  await writeFile(join(directory, 'coordinator.hcl'), `datacenters = [${quoted.join(', ')}]\n`)
  await writeFile(
    join(directory, 'worker.hcl'),
    workerHcl(
      datacenters[0] ?? '',
      kinds.map(({ name }) => name),
    ),
  )
  for (const kind of kinds) {
    await writeFile(join(directory, `workflows/${kind.name}.hcl`), workflowHcl(kind))
    await writeFile(join(directory, `workflows/${kind.name}.ts`), workflowCode(kind))
  }
  const [mistake] = await check(directory)
  if (mistake !== undefined) throw new Error(`the project: ${mistake.file}: ${mistake.message}`)
}

/** What `resile check` has to say against it. */
async function check(directory: string): Promise<{ file: string; message: string }[]> {
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [...RESILE, 'check', '--json', '--project', directory], (error, said, complaint) => {
      // With mistakes in the project it ends with 1, and says which.
      if (error !== null && said === '') reject(new Error(`resile check: ${complaint || error.message}`))
      else resolve(said)
    })
  })
  return (JSON.parse(stdout) as { errors: { file: string; message: string }[] }).errors
}

function workerHcl(datacenter: string, workflows: readonly string[]): string {
  // `resile dev` runs the nodes of its options; they take the command from this file.
  return `node = "unused"
datacenter = "${datacenter}"
command "work" {
  argv = ["/bin/sleep", "{seconds}"]
  params = { seconds = "^[0-9.]+$" }
  workflows = ${JSON.stringify(workflows)}
}
`
}

function workflowHcl({ target, validFor, rules }: DrillWorkflow): string {
  return [
    `task_queue_target = "${target}"`,
    `valid_for = "${validFor}s"`,
    // An execution whose worker was killed in the middle does not occupy its place for the rest of the drill.
    'timeout = "25s"',
    ...rules.map(constraintHcl),
    '',
  ].join('\n')
}

function constraintHcl(rule: Rule): string {
  const lines = Object.entries(rule).map(([key, value]) => {
    if (key === 'seconds') return `period = "${value}s"`
    if (key === 'global') return 'is_global = true'
    return `${key} = ${JSON.stringify(value)}`
  })
  return `constraint {\n  ${lines.join('\n  ')}\n}`
}

/** Sleeps, or has its host do something, for as long as its input says. */
function workflowCode({ name }: DrillWorkflow): string {
  return `import { proxyActivities, sleep } from '@temporalio/workflow'
const { runCommand } = proxyActivities({ startToCloseTimeout: '10s', retry: { maximumAttempts: 2 } })
export async function ${name}(input) {
  if (input.acts) await runCommand({ name: 'work', params: { seconds: String(input.ms / 1000) } })
  else await sleep(input.ms)
}
`
}

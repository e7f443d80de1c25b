import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { atEnd } from './cleanup.ts'

/** The repository. */
export const repository = join(import.meta.dirname, '..', '..')

/** A fresh directory, removed after the test file. */
export function temporaryDirectory(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'resile-e2e-')))
  atEnd(() => rmSync(directory, { recursive: true, force: true, maxRetries: 10 }))
  return directory
}

/** A project with these files, `coordinator.hcl` for the datacenter dc1 unless there is one among them. */
export function writeProject(files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory()
  for (const [name, text] of Object.entries({ 'coordinator.hcl': 'datacenter = "dc1"\n', ...files })) {
    const file = join(directory, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  return directory
}

/** The two files of a workflow. The code may call `sleep` and friends: they are imported. */
export function workflow(name: string, hcl: string, code: string): Record<string, string> {
  return { [`workflows/${name}.hcl`]: `${hcl}\n`, [`workflows/${name}.ts`]: `${imports}\n${code}\n` }
}

const imports = `import {
  ActivityFailure, ApplicationFailure, continueAsNew, proxyActivities, sleep,
} from '@temporalio/workflow'
void [ActivityFailure, ApplicationFailure, continueAsNew, proxyActivities, sleep]`

/** A workflow that sleeps for its input's `ms` (default 0), and returns that it did. */
export function napping(name: string, hcl: string): Record<string, string> {
  const code = `export async function ${camelCase(name)}(input) {
    await sleep(input.ms ?? 1)
    return { slept: input.ms ?? 0 }
  }`
  return workflow(name, hcl, code)
}

/**
 * A workflow that runs the command that its input names, as written by an author who knows nothing of task queues.
 * It returns what the command did, or as what it failed.
 */
export function commanding(name: string, hcl: string): Record<string, string> {
  const code = `const { runCommand } = proxyActivities({ startToCloseTimeout: '30s' })
  export async function ${camelCase(name)}(input) {
    try {
      return await runCommand(input)
    } catch (error) {
      if (!(error instanceof ActivityFailure)) throw error
      return { type: error.cause?.type, final: error.cause?.nonRetryable }
    }
  }`
  return workflow(name, hcl, code)
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

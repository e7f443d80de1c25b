/** From a command that has read the project to the program that goes on for long. */
import { mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parentEnvironment } from './parent-watch.ts'

/** Holds the plan of a program that may not write. */
const PLAN_VARIABLE = 'RESILE_PLAN'

/** A program that takes this process's place. */
export interface Successor {
  /** Absolute path of its module, whose only argument is the file of its plan. */
  program: string
  /** All that it has to know: JSON. */
  plan: unknown
  /** For Node. */
  flags: readonly string[]
  /** Its additional environment, unless a variable is set already. */
  env: Readonly<Record<string, string>>
  /** The directory of its compile cache; null for none. */
  cache: string | null
  /** Whether it may write nothing, and so can't remove a file of its plan: it gets a plan of at most 128 KiB. */
  isReadOnly: boolean
}

/** Small rather than fast: it mostly waits. What the start leaves in a larger young generation is not given back. */
export const SMALL_HEAP = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1', '--v8-pool-size=1']

/**
 * Puts a program in this process's place. The pid stays, and so does all that watches it; the memory that reading the
 * project took does not.
 *
 * @param signal when it has aborted, nothing takes the place
 * @throws Error when there is no room for the plan
 */
export async function become(successor: Successor, signal: AbortSignal): Promise<void> {
  const { program, plan, flags, env, cache, isReadOnly } = successor
  const file = isReadOnly ? null : await writePlan(plan)
  if (signal.aborted) return
  const args = [...process.execArgv, ...flags, program, ...(file === null ? [] : [file])]
  process.execve?.(process.execPath, [process.execPath, ...args], {
    ...env,
    ...process.env,
    ...parentEnvironment(),
    ...(cache === null ? {} : { NODE_COMPILE_CACHE: cache }),
    ...(file === null ? { [PLAN_VARIABLE]: JSON.stringify(plan) } : {}),
  })
}

async function writePlan(plan: unknown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'resile-plan-'))
  const file = join(directory, 'plan.json')
  await writeFile(file, JSON.stringify(plan), { mode: 0o600 })
  return file
}

/** Reads the plan of a program. It is this process's alone, and so is gone then. */
export async function takePlan(file: string | undefined): Promise<unknown> {
  if (file === undefined) {
    const plan = process.env[PLAN_VARIABLE] ?? ''
    delete process.env[PLAN_VARIABLE]
    return JSON.parse(plan)
  }
  const text = await readFile(file, 'utf8')
  await rm(file)
  await rmdir(dirname(file))
  return JSON.parse(text)
}

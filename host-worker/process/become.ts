/** From a command that has read the project to the program that goes on for long. */
import { mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parentEnvironment } from './parent-watch.ts'

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
export async function become({ program, plan, flags, env, cache }: Successor, signal: AbortSignal): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'resile-plan-'))
  const file = join(directory, 'plan.json')
  await writeFile(file, JSON.stringify(plan), { mode: 0o600 })
  if (signal.aborted) return
  process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...flags, program, file], {
    ...env,
    ...process.env,
    ...parentEnvironment(),
    ...(cache === null ? {} : { NODE_COMPILE_CACHE: cache }),
  })
}

/** Reads the plan of a program. It is this process's alone, and so is gone then. */
export async function takePlan(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8')
  await rm(file)
  await rmdir(dirname(file))
  return JSON.parse(text)
}

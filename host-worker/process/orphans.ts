import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { endGroups, groupExists } from './process-group.ts'
import type { ProcessIdentity } from './process-identity.ts'

/** Ends what an earlier run on this data directory left behind; resolves with the pids of those that still ran. */
export async function endOrphans(dataDirectory: string, { graceMs = 3_000 } = {}): Promise<number[]> {
  const orphans = readChildren(dataDirectory).filter(groupExists)
  await endGroups(orphans, { graceMs })
  rmSync(fileIn(dataDirectory), { force: true })
  return orphans.map(({ pid }) => pid)
}

/** Notes which process groups run now, for `endOrphans` of the next run. */
export function recordChildren(dataDirectory: string, children: readonly ProcessIdentity[]): void {
  mkdirSync(dataDirectory, { recursive: true })
  const draft = `${fileIn(dataDirectory)}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify(children)}\n`)
  renameSync(draft, fileIn(dataDirectory))
}

const childrenSchema = z.array(z.object({ pid: z.int().min(2), started: z.string() }))

function readChildren(dataDirectory: string): ProcessIdentity[] {
  let text: string
  try {
    text = readFileSync(fileIn(dataDirectory), 'utf8')
  } catch {
    return []
  }
  // A file that a crash left half written names no process; the guardian of that run has ended its children.
  try {
    return childrenSchema.safeParse(JSON.parse(text)).data ?? []
  } catch {
    return []
  }
}

function fileIn(dataDirectory: string): string {
  return join(dataDirectory, 'children.json')
}

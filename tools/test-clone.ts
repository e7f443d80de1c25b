/** A folder that looks like a clone of this project to its tools, for their tests. */
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished } from 'vitest'

const root = dirname(import.meta.dirname)

/** Makes one that holds the tools, the command, and the given files; it is gone after the test. */
export function makeClone(files: Record<string, string> = {}): string {
  const clone = mkdtempSync(join(tmpdir(), 'resile-clone-'))
  onTestFinished(() => rmSync(clone, { recursive: true, force: true, maxRetries: 5 }))
  const copied = ['runtime.mjs', 'setup.mjs', 'setup-lock.mjs'].map((name) => `tools/${name}`)
  for (const file of [...copied, 'bin/resile.mjs', 'host-worker/process/parent-watch.ts']) {
    cpSync(join(root, file), join(clone, file))
  }
  writeFileSync(join(clone, 'package.json'), '{ "type": "module" }\n')
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(clone, file)), { recursive: true })
    writeFileSync(join(clone, file), text)
    if (text.startsWith('#!')) chmodSync(join(clone, file), 0o755)
  }
  return clone
}

/** The lines of a file; none while it does not exist. */
export function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []
}

/** Waits, patiently, until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 30_000, interval: 50 }).toBe(true)
}

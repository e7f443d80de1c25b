/** Test helpers of this folder: short scripts in real processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { identify } from './process-identity.ts'

/** A fresh directory that is gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'resile-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}

/** A script in a separate process, killed after the test; `lines` fills with its output. */
export function runScript(script: string, env: NodeJS.ProcessEnv = {}): { child: ChildProcess; lines: string[] } {
  const child = spawn(process.execPath, nodeArgs(script), {
    cwd: import.meta.dirname,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const lines: string[] = []
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    lines.splice(0, lines.length, ...text.split('\n').slice(0, -1))
  })
  return { child, lines }
}

/** The arguments with which Node runs a script given as text; it may import the modules of this folder. */
export function nodeArgs(script: string): string[] {
  return ['--input-type=module', '--eval', script]
}

/** Waits, patiently, until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 30_000, interval: 50 }).toBe(true)
}

/** Whether any process with this pid runs. */
export function runs(pid: number): boolean {
  return identify(pid) !== undefined
}

/** Runs until it is killed. */
export const idle = 'setInterval(() => {}, 1000)'

/** Runs until it is killed, and does not heed being asked. */
export const stubborn = `process.on('SIGTERM', () => {}); ${idle}; console.log('up')`

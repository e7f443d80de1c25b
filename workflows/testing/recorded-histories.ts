/**
 * Histories of the library's workflows, recorded once and kept: executions that are under way while Resile is upgraded
 * have such histories, and today's code must agree with them.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkflowRig } from '../../host-worker/testing/workflow-rig.ts'

const DIRECTORY = join(import.meta.dirname, '../testdata')

/** Replays a history that was just made; with `RESILE_RECORD_HISTORIES=1` it is kept as the recorded one. */
export async function replayAndRecord(rig: WorkflowRig, workflow: string, history: unknown): Promise<void> {
  await rig.replay(history)
  if (process.env['RESILE_RECORD_HISTORIES'] !== '1') return
  await mkdir(DIRECTORY, { recursive: true })
  // Who ran it, and on which machine (a process id, `@` and the machine's name), is nobody's concern.
  const nameless = JSON.stringify(history).replaceAll(/"\d+@[^"]*"/g, '"worker"')
  await writeFile(join(DIRECTORY, `${workflow}.history.json`), `${nameless}\n`)
}

/** The recorded histories, by workflow. */
export async function recordedHistories(): Promise<Map<string, unknown>> {
  const files = (await readdir(DIRECTORY)).filter((file) => file.endsWith('.history.json'))
  const read = files.map(
    async (file): Promise<[string, unknown]> => [
      file.replace('.history.json', ''),
      JSON.parse(await readFile(join(DIRECTORY, file), 'utf8')),
    ],
  )
  return new Map(await Promise.all(read))
}

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { temporaryDirectory } from './files.ts'

/** A fresh data directory, with what coordinators, workers and detectors would first make of their sources. */
export function dataDirectory(): string {
  const directory = temporaryDirectory()
  for (const made of ['bundles', 'compile-cache', 'coordinator']) {
    cpSync(join(inject('warmData'), made), join(directory, made), { recursive: true })
  }
  return directory
}

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { temporaryDirectory } from './files.ts'

/** A fresh data directory, with the compile cache that workers and detectors would fill first. */
export function dataDirectory(): string {
  const directory = temporaryDirectory()
  cpSync(join(inject('warmData'), 'compile-cache'), join(directory, 'compile-cache'), { recursive: true })
  return directory
}

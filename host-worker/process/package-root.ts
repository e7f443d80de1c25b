import { fileURLToPath } from 'node:url'

/** Absolute path of the directory that holds Resile's own package.json. */
export const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

#!/usr/bin/env node
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isSetUp, root, runGuarded, runningNodeIsEnough, startedByNpx } from '../tools/runtime.mjs'

const main = join(root, 'host-worker/cli/main.ts')

if (!isSetUp()) {
  console.error('resile: run npm start, npm test or npm run setup first')
  process.exitCode = 1
} else if (runningNodeIsEnough && !startedByNpx) {
  await import(pathToFileURL(main).href)
} else {
  process.exit(await runGuarded(main, process.argv.slice(2)))
}

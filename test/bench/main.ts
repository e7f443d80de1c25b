/** `npm run bench [-- --only starts|workers|signals]`: ratios within one run; absolute numbers are the machine's. */
import { parseArgs } from 'node:util'
import { endWithParent } from '../../host-worker/process/parent-watch.ts'
import { benchSignals } from './signals.ts'
import { benchStarts } from './starts.ts'
import { benchWorkers } from './workers.ts'

const PARTS = { starts: benchStarts, workers: benchWorkers, signals: benchSignals }

endWithParent()
const { only } = parseArgs({ options: { only: { type: 'string' } } }).values
if (only === undefined) {
  for (const bench of Object.values(PARTS)) await bench()
} else if (only === 'starts' || only === 'workers' || only === 'signals') {
  await PARTS[only]()
} else {
  console.error(`--only takes ${Object.keys(PARTS).join(' or ')}, not ${only}`)
  process.exitCode = 2
}

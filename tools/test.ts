/** Runs all tests, or those that its arguments (vitest's own) choose; closes with the time of each suite, and the counts. */
import { parseCLI, startVitest, type TestModule, type Vitest } from 'vitest/node'
import { endWithParent } from '../host-worker/process/parent-watch.ts'
import { missingDebianPackages } from './debian-packages.ts'
import { SuiteTimes } from './suite-times.ts'

endWithParent()
const missing = missingDebianPackages()
if (missing.length > 0) console.error(`skipping the tests that need these Debian packages: ${missing.join(' ')}`)
const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)])
const { reporter = ['default'], ...others } = options as typeof options & { reporter?: string[] }
const times = new SuiteTimes()
const vitest = await startVitest(filter, { ...others, reporters: [...reporter, times], watch: false })
await vitest.close()
const counts = countTests(vitest)
if (counts.failed > 0) process.exitCode = 1
console.log(`${times}`)
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
// A test that left a handle open must not keep CI waiting.
process.exit()

type Counts = { passed: number; failed: number; skipped: number }

function countTests({ state }: Vitest): Counts {
  const counts: Counts = { passed: 0, failed: state.getUnhandledErrors().length, skipped: 0 }
  for (const testModule of state.getTestModules()) addModule(testModule, counts)
  return counts
}

function addModule(testModule: TestModule, counts: Counts): void {
  const failedBefore = counts.failed
  for (const test of testModule.children.allTests()) {
    const { state } = test.result()
    counts[state === 'pending' ? 'skipped' : state] += 1
  }
  // A file or hook that throws fails without a failed test.
  if (testModule.state() === 'failed' && counts.failed === failedBefore) counts.failed += 1
}

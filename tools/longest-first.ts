import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take a minute and more; vitest's own order, by size, would have some of them run last and alone. */
const LONGEST = [
  'workflows/drain-node.test.ts',
  'edge/global-ledger/protocol.test.ts',
  'test/triggers/detector.test.ts',
  'test/hosts/unreachable.test.ts',
  'test/hosts/worker.test.ts',
  'test/operation/main-job.test.ts',
  'test/operation/dev-options.test.ts',
  'test/operation/doctor.test.ts',
  'test/admission/faults.test.ts',
  'test/admission/clock.test.ts',
]

/** Starts the slowest files first, so that no worker is idle at the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((file) => moduleId.endsWith(`/${file}`))
      return index === -1 ? LONGEST.length : index
    }
    return sorted.toSorted((one, other) => rank(one) - rank(other))
  }
}

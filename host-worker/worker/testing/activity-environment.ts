/** The environment that a test runs an activity in. */
import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'

// The default one writes around Vitest, which shows the output of failed tests only.
const logger = new DefaultLogger('WARN', ({ message, meta }) => console.warn(message, meta))

/** One attempt at an activity. `info` is what the activity sees of itself; the rest has Temporal's defaults. */
export function activityEnvironment(
  info: ConstructorParameters<typeof MockActivityEnvironment>[0],
): MockActivityEnvironment {
  return new MockActivityEnvironment(info, { logger })
}

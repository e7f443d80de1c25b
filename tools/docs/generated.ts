/** The pages of docs/reference that are generated from the code. */

import { commandPage } from './cli-page.ts'
import { eventsPage } from './events-page.ts'
import { metricsPage } from './metrics-page.ts'

/** Each generated page by its path in the repository. */
export function generatedPages(): Record<string, string> {
  return {
    'docs/reference/cli.md': commandPage(),
    'docs/reference/events.md': eventsPage(),
    'docs/reference/metrics.md': metricsPage(),
  }
}

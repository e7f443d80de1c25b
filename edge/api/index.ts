/** All routes of the coordinator, in the order of the OpenAPI document. */

import { INTEGRATIONS } from '../integrations/index.ts'
import type { Route } from '../route.ts'
import { decisionRoutes } from './decisions.ts'
import { executionRoutes } from './executions.ts'
import { freezeRoutes } from './freezes.ts'
import { healthRoutes } from './health.ts'
import { metricsRoutes } from './metrics.ts'
import { nodeRoutes } from './nodes.ts'
import { openApiRoute } from './openapi.ts'
import { rejectionRoutes } from './rejections.ts'
import { signalRoutes } from './signals.ts'
import { startRoutes } from './start.ts'
import { workflowRoutes } from './workflows.ts'

const DOCUMENTED: readonly Route[] = [
  ...startRoutes,
  ...INTEGRATIONS.flatMap(({ routes }) => routes),
  ...workflowRoutes,
  ...executionRoutes,
  ...freezeRoutes,
  ...decisionRoutes,
  ...nodeRoutes,
  ...signalRoutes,
  ...rejectionRoutes,
  ...metricsRoutes,
  ...healthRoutes,
]

/** Every route, the OpenAPI document's own included. */
export const ROUTES: readonly Route[] = [...DOCUMENTED, openApiRoute(DOCUMENTED)]

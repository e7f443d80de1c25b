/** CloudEvents over HTTP: events trigger workflows. */
import type { Integration } from '../common/integration.ts'
import { cloudeventsRoutes } from './receiver.ts'
import { signature } from './sender.ts'

export const cloudevents: Integration = { routes: cloudeventsRoutes, signature }

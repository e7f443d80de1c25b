/** PagerDuty: its webhooks trigger workflows, and escalations become events. */
import type { Integration } from '../common/integration.ts'
import { notifier } from './notifier.ts'
import { pagerdutyRoutes } from './receiver.ts'
import { signature } from './sender.ts'

export const pagerduty: Integration = { routes: pagerdutyRoutes, signature, notifier }

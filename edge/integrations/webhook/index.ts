/** Standard Webhooks: signed messages that trigger workflows, and escalations to webhooks. */
import type { Integration } from '../common/integration.ts'
import { notifier } from './notifier.ts'
import { webhookRoutes } from './receiver.ts'
import { signature } from './sender.ts'

export const webhook: Integration = { routes: webhookRoutes, signature, notifier }

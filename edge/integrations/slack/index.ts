/** A Slack app: its slash command and buttons trigger and approve workflows, and escalations become messages. */
import type { Integration } from '../common/integration.ts'
import { notifier } from './notifier.ts'
import { slackRoutes } from './receiver.ts'
import { signature } from './sender.ts'

export const slack: Integration = { routes: slackRoutes, signature, notifier }

/** Prometheus' Alertmanager: its alerts trigger workflows, and escalations become alerts. */
import type { Integration } from '../common/integration.ts'
import { notifier } from './notifier.ts'
import { alertmanagerRoutes } from './receiver.ts'

export const alertmanager: Integration = { routes: alertmanagerRoutes, notifier }

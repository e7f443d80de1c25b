import type { CoordinatorConfig } from '../../shared/config.ts'
import { CommandError } from '../cli/exit-codes.ts'

/**
 * Refuses to run what is asked for but not there yet: never run with less safety than asked for.
 *
 * @throws CommandError
 */
export function refuseUnbuilt(coordinator: CoordinatorConfig): void {
  if (coordinator.server_config?.enable_tls !== true) return
  throw new CommandError(
    'coordinator.hcl: server_config.enable_tls = true needs client certificates, which this version does not check yet; ' +
      'it will not run without them. Set enable_tls = false to run without TLS, with every caller anonymous.',
  )
}

import type { Config } from '../shared/config.ts'
import type { Decision } from '../shared/wire.ts'

/** Which configuration it is, as decisions and `/readyz` say it. */
export function identityOf({ hash, loaded_at }: Config): NonNullable<Decision['config']> {
  return { hash, loaded_at: loaded_at ?? null }
}

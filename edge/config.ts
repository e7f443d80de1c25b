import document from 'resile:config'
import { type Config, documentSchema } from '../shared/config.ts'
import type { Decision } from '../shared/wire.ts'

/**
 * The configuration that this Worker version was given, checked again: a coordinator with a document it can't fully
 * read doesn't start, since it might run with less safety than was asked for.
 */
export const config: Config = documentSchema.parse(document)

/** Which configuration it is, as decisions and `/readyz` say it. */
export function identityOf({ hash, loaded_at }: Config): NonNullable<Decision['config']> {
  return { hash, loaded_at: loaded_at ?? null }
}

import { z } from 'zod'
import type { EventName } from '../../../shared/events.ts'
import type { Notices } from './matching/notices.ts'

/**
 * Reads the state that a source kept over a restart.
 *
 * @param event logged, as a warning with the reason, if it can't be read
 * @returns undefined if there was none, or it can't be read
 */
export function keptState<Schema extends z.ZodType>(
  schema: Schema,
  event: EventName,
  state: unknown,
  notices: Notices,
): z.output<Schema> | undefined {
  if (state === undefined || state === null) return undefined
  const parsed = schema.safeParse(state)
  if (parsed.success) return parsed.data
  notices.add({ event, level: 'warn', detail: z.prettifyError(parsed.error).slice(0, 500) })
  return undefined
}

/** Entries as `journalctl -o json` writes them, see systemd.io/JOURNAL_EXPORT_FORMATS. Pure. */
import { z } from 'zod'

/** The fields of an entry that are read. */
export interface JournalEntry {
  /** Its place in the journal, opaque. */
  cursor: string
  /** When it was received, in milliseconds. */
  at: number
  /** Whose it is: a unit, an identifier, or the kernel. */
  from: string
  /** Null when it has none. */
  message: string | null
}

/** The fields that are asked for, besides those that always come. */
export const JOURNAL_FIELDS = ['MESSAGE', 'UNIT', '_SYSTEMD_UNIT', 'SYSLOG_IDENTIFIER', '_TRANSPORT'] as const

/** Invalid UTF-8 is sent as bytes, what is too long as null, and a repeated field as a list of these. */
const single = z.union([z.string(), z.array(z.number()), z.null()])
const field = z.union([single, z.array(single)]).optional()

const entrySchema = z.object({
  __CURSOR: z.string().min(1),
  __REALTIME_TIMESTAMP: z.string().regex(/^\d+$/),
  MESSAGE: field,
  UNIT: field,
  _SYSTEMD_UNIT: field,
  SYSLOG_IDENTIFIER: field,
  _TRANSPORT: field,
})

/** Reads a line; null when it is no entry. */
export function parseEntry(line: string): JournalEntry | null {
  const entry = entrySchema.safeParse(jsonOf(line)).data
  if (entry === undefined) return null
  const from = [entry.UNIT, entry._SYSTEMD_UNIT, entry.SYSLOG_IDENTIFIER, entry._TRANSPORT].map(textOf)
  return {
    cursor: entry.__CURSOR,
    at: Math.floor(Number(entry.__REALTIME_TIMESTAMP) / 1000),
    from: from.find((text) => text !== null) ?? 'journal',
    message: textOf(entry.MESSAGE),
  }
}

/** When the entry of a cursor was received, in milliseconds; null when it doesn't say. */
export function timeOf(cursor: string): number | null {
  const micros = /(?:^|;)t=([0-9a-f]+)/.exec(cursor)?.[1]
  return micros === undefined ? null : Math.floor(Number.parseInt(micros, 16) / 1000)
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function textOf(value: z.output<typeof field>): string | null {
  if (value === undefined || value === null || typeof value === 'string') return value ?? null
  if (value.every((item) => typeof item === 'number'))
    return value.length === 0 ? null : Buffer.from(value).toString('utf8')
  const texts = value.map((item) => (typeof item === 'number' ? null : textOf(item))).filter((text) => text !== null)
  return texts.length === 0 ? null : texts.join('\n')
}

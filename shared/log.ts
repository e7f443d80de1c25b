/** Structured logging: one JSON object a line on standard output, the same shape on Workers and on hosts. */

import type { EventName } from './events.ts'

export type LogLevel = 'info' | 'warn' | 'error'

/** One log line; `event` names what happened, the rest are its facts. */
export interface LogLine {
  time: string
  level: LogLevel
  event: string
  [field: string]: unknown
}

/** Writes one log line. Values must be JSON; secrets and request bodies have no place here. */
export function log(level: LogLevel, event: EventName, fields: Record<string, unknown> = {}): void {
  const line: LogLine = { time: new Date().toISOString(), level, event, ...fields }
  console.log(JSON.stringify(line))
}

/** Reads a line written by {@link log}; null for any other text. */
export function parseLogLine(text: string): LogLine | null {
  if (!text.startsWith('{')) return null
  try {
    const value: unknown = JSON.parse(text)
    const isLine = typeof value === 'object' && value !== null && 'event' in value && 'level' in value
    return isLine ? (value as LogLine) : null
  } catch {
    return null
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

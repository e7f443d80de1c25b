/** Ids of decisions and executions: UUIDs of version 7 (RFC 9562, 5.7), whose order is that of their times. */

const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether a text can be the id of a decision or execution. */
export function isExecutionId(text: string): boolean {
  return PATTERN.test(text)
}

/** The lower bound of all ids made from a time (in milliseconds) on, and the upper bound of all earlier ones. */
export function firstIdAt(time: number): string {
  const hex = Math.max(0, Math.floor(time)).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}`
}

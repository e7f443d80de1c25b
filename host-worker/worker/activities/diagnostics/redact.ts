/** Makes secrets in logs and configuration unreadable. */
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { RE2JS } from 're2js'
import {
  BLOCK_SCALAR,
  NAME_OF_VALUE,
  NAMED_VALUE,
  PUTTY_LINES,
  SECRET_PATTERNS,
  VALUE_FOLLOWS,
} from './secret-patterns.ts'

/** A redacted text, and how many passages were made unreadable. */
export interface Redacted {
  text: string
  redactions: number
}

/** The replacement of a secret. */
const MARK = '[redacted]'
/** A letter as JSON may write it, too. */
const ESCAPED_LETTER = /\\u00([46][1-9a-f]|[57][0-9a])/gi
/** Longest line that is kept, in characters. */
const MAX_LINE_LENGTH = 16 * 1024
/** Where a private key begins and ends (RFC 7468; RFC 4716 with a space and one hyphen less). */
const KEY_BEGINS = /-----?\s?BEGIN [A-Z0-9 ]*PRIVATE KEY/
const KEY_ENDS = /-----?\s?END [A-Z0-9 ]*PRIVATE KEY/
/** Lines after which others get their turn. */
const BATCH_LINES = 2000

/**
 * Redacts a text, line by line; private keys, and values that take several lines, as a whole.
 *
 * @param patterns more secrets, in RE2 syntax
 */
export async function redact(text: string, patterns: readonly string[]): Promise<Redacted> {
  const own = patterns.map((pattern) => RE2JS.compile(pattern))
  const lines = text.split('\n')
  let redactions = 0
  let inKey = false
  let hidden = 0
  for (const [index, line] of lines.entries()) {
    if (index % BATCH_LINES === BATCH_LINES - 1) await yieldToOthers()
    if (hidden > 0) {
      lines[index] = ''
      hidden -= 1
      continue
    }
    const begins = KEY_BEGINS.test(line)
    if (inKey || begins) {
      if (!inKey) redactions += 1
      lines[index] = inKey ? '' : MARK
      inKey = !KEY_ENDS.test(line)
      continue
    }
    if (KEY_ENDS.test(line)) {
      redactions += 1
      hideKeyBefore(lines, index)
      continue
    }
    hidden = linesOfValue(lines, index)
    if (hidden > 0) {
      lines[index] = `${line} ${MARK}`
      redactions += 1
      continue
    }
    const kept = valueAfter(lines, index, line)
    if (kept !== null) {
      lines[index] = kept + MARK
      redactions += 1
      continue
    }
    const short = line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH)} [cut]` : line
    const redacted = redactLine(short, own)
    lines[index] = redacted.text
    redactions += redacted.redactions
  }
  return { text: lines.join('\n'), redactions }
}

/** The end of a key whose beginning was cut off: what comes before it, as far back as it looks like a key. */
function hideKeyBefore(lines: string[], end: number): void {
  lines[end] = MARK
  for (let index = end - 1; index >= 0 && /^[\sA-Za-z0-9+/=]*$/.test(lines[index] ?? ''); index--) lines[index] = ''
}

/** How many lines after one are the value of a secret that it names. */
function linesOfValue(lines: readonly string[], index: number): number {
  const line = lines[index] ?? ''
  const putty = PUTTY_LINES.exec(line)?.groups?.['count']
  if (putty !== undefined) return Number(putty)
  const indent = BLOCK_SCALAR.exec(line)?.groups?.['indent']
  if (indent === undefined) return 0
  let count = 0
  for (let next = index + 1; next < lines.length; next += 1) {
    const text = lines[next] ?? ''
    if (text.trim() !== '' && !/^\s/.test(text.slice(indent.length))) break
    count += 1
  }
  return count
}

/** What stays of a line that is the value of a secret that the line before names; null for any other line. */
function valueAfter(lines: readonly string[], index: number, line: string): string | null {
  const before = (index > 0 ? lines[index - 1] : undefined) ?? ''
  if (before.length > MAX_LINE_LENGTH || line.trim() === '') return null
  if (NAME_OF_VALUE.test(before)) return NAMED_VALUE.exec(line)?.groups?.['kept'] ?? null
  return VALUE_FOLLOWS.test(before) ? (/^\s*/.exec(line)?.[0] ?? '') : null
}

function redactLine(line: string, own: readonly RE2JS[]): Redacted {
  let text = line.replace(ESCAPED_LETTER, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  let redactions = 0
  for (const secret of SECRET_PATTERNS) {
    text = text.replace(secret, (_, kept: string) => {
      redactions += 1
      return kept + MARK
    })
  }
  for (const pattern of own) {
    const matcher = pattern.matcher(text)
    let found = 0
    while (matcher.find()) found += 1
    if (found === 0) continue
    text = pattern.matcher(text).replaceAll(MARK)
    redactions += found
  }
  return { text, redactions }
}

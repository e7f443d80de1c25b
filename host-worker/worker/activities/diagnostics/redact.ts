/** Makes secrets in logs and configuration unreadable. */
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { RE2JS } from 're2js'

/** A redacted text, and how many passages were made unreadable. */
export interface Redacted {
  text: string
  redactions: number
}

/** The replacement of a secret. */
const MARK = '[redacted]'
/** Longest line that is kept, in characters. */
const MAX_LINE_LENGTH = 16 * 1024
/** Lines after which others get their turn. */
const BATCH_LINES = 2000

/** Patterns of secrets in any context. Each runs in linear time; `$1` is kept. */
const SECRETS: readonly RegExp[] = [
  // Authorization: Basic …, Cookie: a=…; b=…: the rest of the line
  /((?:authorization|cookie)["']?\s*[=:]\s*)(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'\s][^"']*)/gi,
  // password=…, "api_key": "…"
  /((?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)["']?\s*[=:]\s*)(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:(?:basic|bearer|digest)\s+)?[^\s,;&"']+)/gi,
  /(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi,
  // user and password, or a token alone, in a URL
  /(:\/\/)[^\s/@]+(?=@)/g,
  // JSON Web Tokens, AWS access keys
  /()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*/g,
  /()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
]

/**
 * Redacts a text, line by line; private keys in PEM as a whole.
 *
 * @param patterns more secrets, in RE2 syntax
 */
export async function redact(text: string, patterns: readonly string[]): Promise<Redacted> {
  const own = patterns.map((pattern) => RE2JS.compile(pattern))
  const lines = text.split('\n')
  let redactions = 0
  let inKey = false
  for (const [index, line] of lines.entries()) {
    if (index % BATCH_LINES === BATCH_LINES - 1) await yieldToOthers()
    const begins = line.includes('-----BEGIN') && line.includes('PRIVATE KEY')
    if (inKey || begins) {
      if (!inKey) redactions += 1
      lines[index] = inKey ? '' : MARK
      inKey = !line.includes('-----END')
      continue
    }
    if (line.includes('-----END') && line.includes('PRIVATE KEY')) {
      redactions += 1
      hideKeyBefore(lines, index)
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

function redactLine(line: string, own: readonly RE2JS[]): Redacted {
  let text = line
  let redactions = 0
  for (const secret of SECRETS) {
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

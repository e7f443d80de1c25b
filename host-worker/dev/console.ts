/** Events, as one readable line each. */
import { styleText } from 'node:util'
import { type LogLine, parseLogLine } from '../../shared/log.ts'
import { scopeText, targetText } from '../net/summaries.ts'
import type { ChildChange } from '../process/supervisor.ts'

type Style = Parameters<typeof styleText>[0]

/** Prints to stderr: stdout is kept for the one line that says that all is ready. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Prints a child's log line when it matters to a person watching. */
export function showLogLine(role: string, name: string, text: string): void {
  const line = parseLogLine(text)
  if (line === null) return
  const shown = describe(line)
  if (shown !== null) print(line.time, ...shown)
  else if (line.level === 'error') showError(line.time, `${role} ${name}: ${line.event} ${field(line, 'detail')}`)
}

/** The same error is shown once in this time, in milliseconds; the log files have them all. */
const ERROR_REPEAT_INTERVAL_MS = 30_000
const shownErrors = new Map<string, number>()

function showError(time: string, text: string): void {
  const now = Date.now()
  for (const [shown, at] of shownErrors) {
    if (now - at >= ERROR_REPEAT_INTERVAL_MS) shownErrors.delete(shown)
  }
  if (shownErrors.has(text)) return
  shownErrors.set(text, now)
  print(time, 'error', text, 'red')
}

/** Prints a change of a child process when it matters. */
export function showChange(change: ChildChange): void {
  const now = new Date().toISOString()
  if (change.kind === 'ended' && !change.expected)
    print(now, 'died', `${change.role} ${change.name} (${change.reason})`, 'red')
  if (change.kind === 'restarting')
    print(now, 'restart', `${change.role} ${change.name} in ${change.delayMs / 1000} s`, 'yellow')
}

function describe(line: LogLine): [verb: string, text: string, style: Style] | null {
  const execution = field(line, 'execution') || field(line, 'decision')
  const what = `${field(line, 'workflow')} on ${targetText(line.target ?? {})}`
  switch (line.event) {
    case 'condition':
      return ['condition', `${field(line, 'detector')}: ${field(line, 'detail')}`, 'yellow']
    case 'cleared':
      return ['cleared', `${field(line, 'detector')}: healthy again after ${seconds(line)}`, 'green']
    case 'evaluation_failed':
      return line.failures === 1 ? ['unknown', `${field(line, 'detector')}: ${field(line, 'detail')}`, 'yellow'] : null
    case 'decision': {
      const verb = DECISIONS[field(line, 'outcome')]
      return verb === undefined
        ? ['denied', `${what}: ${field(line, 'code')}: ${field(line, 'detail')}`, 'magenta']
        : [verb, `${what} for ${field(line, 'caller')} ${execution}`, 'cyan']
    }
    case 'started':
      return ['started', `${what} ${execution}`, 'cyan']
    case 'closed':
      return [
        field(line, 'status'),
        `${what} after ${seconds(line)} ${field(line, 'detail')}`.trimEnd(),
        line.status === 'completed' ? 'green' : 'red',
      ]
    case 'cancel':
      return ['cancel', `${field(line, 'workflow')} ${execution}: ${field(line, 'detail')}`, 'yellow']
    case 'freeze':
      return ['freeze', `${scopeText(line.scope)} by ${field(line, 'caller')}: ${field(line, 'reason')}`, 'magenta']
    case 'thaw':
      return ['thaw', field(line, 'freeze'), 'green']
    case 'tripped':
      return ['tripped', `maxFailure of ${field(line, 'scope')}: ${field(line, 'detail')}`, 'red']
    case 'started_past_coordinator':
      return [
        'unadmitted',
        `${field(line, 'workflow')} ${field(line, 'workflow_id')} was started without the coordinator`,
        'red',
      ]
    case 'lost':
    case 'start_refused':
      return [line.event.replace('_', ' '), `${field(line, 'workflow')} ${execution}: ${field(line, 'detail')}`, 'red']
    default:
      return null
  }
}

const DECISIONS: Readonly<Record<string, string | undefined>> = {
  admitted: 'admitted',
  awaiting_approval: 'waits',
  shadowed: 'shadowed',
}

function print(time: string, verb: string, text: string, style: Style): void {
  // Names come from outside: none may break the line or control the terminal.
  const safe = text.replaceAll(/\p{Cc}/gu, ' ')
  say(
    `${new Date(time).toLocaleTimeString('en-GB')}  ${styleText(style, verb.padEnd(10), { stream: process.stderr })} ${safe}`,
  )
}

function field(line: LogLine, name: string): string {
  const value = line[name]
  return typeof value === 'string' ? value : ''
}

function seconds(line: LogLine): string {
  return `${(Number(line.after_ms ?? 0) / 1000).toFixed(1)} s`
}

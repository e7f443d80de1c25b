/** Runs `journalctl`: there is no other way to the journal that is promised to stay. */
import { ExecaError, execa } from 'execa'
import type { JournalConfig } from '../../../../shared/config.ts'
import { boundedLines } from './bounded-lines.ts'
import { JOURNAL_FIELDS, type JournalEntry, parseEntry } from './journal-entry.ts'

/** Where to begin: with the entry of a cursor, or else with the oldest. */
export type JournalStart = { cursor: string } | 'oldest'

/** Events of a running `journalctl`. */
export interface JournalHooks {
  entry(entry: JournalEntry): void
  /** An entry that could not be read, and why. */
  unreadable(detail: string): void
  /** Its own messages. */
  says(text: string): void
}

/** Thrown when `journalctl` can't be run, or fails. */
class JournalctlError extends Error {}

/** Bytes of an entry as JSON; what is longer is dropped. */
const MAX_ENTRY_BYTES = 4 * 1024 * 1024
/** Milliseconds for finding an entry. */
const FIND_TIMEOUT_MS = 30_000
/** Bytes kept of what it says on standard error. */
const MAX_ERROR_LENGTH = 2000

/**
 * The entry at a cursor; when that isn't there any more, the next one. Without a cursor, the newest.
 *
 * @returns null when there is none
 * @throws JournalctlError
 */
export async function findEntry(
  config: JournalConfig,
  cursor: string | null,
  signal: AbortSignal,
): Promise<JournalEntry | null> {
  const args = ['--lines=1', ...(cursor === null ? [] : [`--cursor=${cursor}`]), ...commonArgs(config)]
  try {
    const { stdout } = await execa('journalctl', args, { ...OPTIONS, timeout: FIND_TIMEOUT_MS, cancelSignal: signal })
    return parseEntry(stdout)
  } catch (error) {
    throw failureOf(error)
  }
}

/**
 * Follows the journal until the signal aborts. Not with `--after-cursor`: that leaves out the first entry also when it is
 * another one than the cursor's (systemd 252), and with `--follow` shows at most ten of those that already exist.
 *
 * It ends with this process by itself: it notices that its output has no reader.
 *
 * @throws JournalctlError when it ends by itself
 */
export async function followEntries(
  config: JournalConfig,
  start: JournalStart,
  hooks: JournalHooks,
  signal: AbortSignal,
): Promise<void> {
  const from = start === 'oldest' ? [] : [`--cursor=${start.cursor}`]
  const args = ['--follow', '--no-tail', ...from, ...commonArgs(config), ...filters(config)]
  const child = execa('journalctl', args, { ...OPTIONS, buffer: false, encoding: 'buffer', cancelSignal: signal })
  let said = ''
  const onLine = (line: string): void => {
    const entry = parseEntry(line)
    if (entry === null) hooks.unreadable(`not an entry: ${line.slice(0, 200)}`)
    else hooks.entry(entry)
  }
  boundedLines(child.stdout, MAX_ENTRY_BYTES, onLine, () => hooks.unreadable(`longer than ${MAX_ENTRY_BYTES} bytes`))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-MAX_ERROR_LENGTH)
    hooks.says(said.trim())
  })
  try {
    await child
  } catch (error) {
    if (signal.aborted) return
    throw failureOf(error, said.trim())
  }
  if (!signal.aborted) throw new JournalctlError(`journalctl ended: ${said.trim() || 'it said nothing'}`)
}

const OPTIONS = { stdin: 'ignore', env: { LC_ALL: 'C', SYSTEMD_COLORS: '0' }, forceKillAfterDelay: 2000 } as const

function commonArgs({ directory }: JournalConfig): string[] {
  return [
    '--output=json',
    // Otherwise a field of more than 4 kB is null.
    '--all',
    '--no-pager',
    `--output-fields=${JOURNAL_FIELDS.join(',')}`,
    // Without the second one, what other machines have sent into the directory is left out (systemd 252).
    ...(directory === undefined ? [] : [`--directory=${directory}`, '--merge']),
  ]
}

function filters({ units, identifiers, kernel, fields }: JournalConfig): string[] {
  return [
    ...units.map((unit) => `--unit=${unit}`),
    ...identifiers.map((identifier) => `--identifier=${identifier}`),
    // Not --dmesg, which shows this boot alone: what came last before a crash would be missed.
    ...(kernel ? ['_TRANSPORT=kernel'] : []),
    ...Object.entries(fields).map(([name, value]) => `${name}=${value}`),
  ]
}

function failureOf(error: unknown, said = ''): unknown {
  if (!(error instanceof ExecaError)) return error
  if (error.code === 'ENOENT') {
    return new JournalctlError(
      'journalctl is not installed: install systemd, or run this detector where the journal is',
    )
  }
  const { stderr }: { stderr?: unknown } = error
  const words = said || (typeof stderr === 'string' ? stderr.trim() : '') || 'it said nothing'
  return new JournalctlError(`${error.shortMessage.split('\n')[0]?.slice(0, 200)}: ${words}`)
}

import type { CommandConfig, WorkerConfig } from '../../shared/config.ts'

/** systemctl's arguments for a unit, by the second part of the command's name. @see systemctl(1) */
const VERBS = {
  reload: ['reload'],
  restart: ['restart'],
  stop: ['stop'],
  // Removes whatever is left of it, so that a start begins cleanly.
  kill: ['kill', '--signal=SIGKILL'],
  start: ['start'],
  // Lets a unit start again that has failed too often: else a start is refused (start-limit-hit).
  'reset-failed': ['reset-failed'],
} as const

/** Lines of a unit's journal that a failure carries. @see journalctl(1) */
const JOURNAL_LINES = 50

/** The commands that a host allows by its `systemd` block: `systemd-restart` and the like, each with the parameter `unit`. */
export function systemdCommands(systemd: WorkerConfig['systemd']): Record<string, CommandConfig> {
  if (systemd === undefined) return {}
  const { units, timeout, workflows } = systemd
  const unit = units.map((name) => name.split('*').map(quoted).join('[A-Za-z0-9:_.@\\\\-]*')).join('|')
  const command = (verb: readonly string[], readOnly: boolean): CommandConfig => ({
    argv: ['systemctl', ...verb, '--', '{unit}'],
    timeout,
    params: { unit: `^(?:${unit})$` },
    // Nothing after `--` is an option.
    allow_options: true,
    ...(readOnly ? { read_only: true } : { read_only: false, workflows }),
  })
  return {
    ...Object.fromEntries(Object.entries(VERBS).map(([name, verb]) => [`systemd-${name}`, command(verb, false)])),
    'systemd-status': command(['status', '--no-pager', '--full'], true),
    'systemd-journal': {
      ...command([], true),
      argv: ['journalctl', '--no-pager', `--lines=${JOURNAL_LINES}`, '--output=short-iso', '--unit={unit}'],
    },
  }
}

/** A name as a regular expression that matches it alone. A name that systemd-escape(1) has made contains backslashes. */
function quoted(name: string): string {
  return name.replaceAll(/[.\\]/g, '\\$&')
}

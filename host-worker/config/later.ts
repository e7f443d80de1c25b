/**
 * What the configuration will know in a later version, so that it is refused as such and not as unknown. Keys are
 * written as {@link trailOf} writes them; a value is the key that would satisfy what is missing without it.
 */
export const LATER_KEYS: ReadonlyMap<string, string | null> = new Map([
  ['workflow.escalation', null],
  ['coordinator.webhook', null],
  ['coordinator.receiver', null],
  ['coordinator.server_config.worker_id', null],
  ...['tcp_check', 'command_check', 'log', 'journal', 'schedule', 'alert'].map((source): [string, string] => [
    `detectors.detector.${source}`,
    'http_check',
  ]),
])

/** Values of a later version, and the keys beside them that they give another meaning. */
export const LATER_VALUES: ReadonlyMap<string, { values: readonly string[]; govern: readonly string[] }> = new Map([
  ['workflow.mode', { values: ['approve', 'shadow'], govern: [] }],
  [
    'workflow.constraint.kind',
    { values: ['exclusive', 'maxUnavailable', 'maxFailure'], govern: ['value', 'period', 'per', 'is_global'] },
  ],
])

/** Said of them. */
export const NOT_AVAILABLE = 'not available in this version'

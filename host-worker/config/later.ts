/**
 * What the configuration will know in a later version, so that it is refused as such and not as unknown. Keys are
 * written as {@link trailOf} writes them; a value is the key that would satisfy what is missing without it.
 */
export const LATER_KEYS: ReadonlyMap<string, string | null> = new Map([
  ...['slack', 'pagerduty'].map((kind): [string, string] => [`coordinator.receiver.${kind}`, 'webhook']),
])

/** Said of them. */
export const NOT_AVAILABLE = 'not available in this version'

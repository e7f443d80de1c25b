/** docs/reference/events.md, from the catalogue that `log()` is typed by. */
import { ALERT_ON, COORDINATOR_EVENTS, DETECTOR_EVENTS, SHARED_EVENTS, WORKER_EVENTS } from '../../shared/events.ts'
import { GENERATED, wrap } from './text.ts'

const SECTIONS = [
  ['Coordinator', COORDINATOR_EVENTS],
  ['Worker', WORKER_EVENTS],
  ['Detector', DETECTOR_EVENTS],
  ['Several processes', SHARED_EVENTS],
] as const

export function eventsPage(): string {
  return [
    GENERATED,
    '',
    '# Log events',
    '',
    wrap(
      'Each process writes JSON lines to standard output. Every line has `time` (RFC 3339, UTC), `level` (`info`, `warn` ' +
        'or `error`) and `event`, one of the names below. Other fields depend on the event; `detail` says what went wrong.',
    ),
    '',
    '## Alert on these',
    '',
    wrap(`${ALERT_ON.map((event) => `\`${event}\``).join(', ')}.`),
    '',
    wrap(
      'Of `trigger_denied`, alert on level `error` only: those triggers never pass without a change. Of `evaluation_failed`, ' +
        'alert if `failures` is more than a few: it counts failed evaluations in a row.',
    ),
    ...SECTIONS.flatMap(([title, events]) => ['', `## ${title}`, '', ...list(events)]),
    '',
  ].join('\n')
}

function list(events: Readonly<Record<string, string>>): string[] {
  return Object.entries(events)
    .sort(([first], [second]) => (first < second ? -1 : 1))
    .map(([event, meaning]) => wrap(`- \`${event}\`: ${meaning}`, '  '))
}

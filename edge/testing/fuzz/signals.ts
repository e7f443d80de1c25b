/** Signals of other systems: like real ones, and with mistakes. */
import fc from 'fast-check'
import { cf, type FuzzedRequest, headers, message } from './requests.ts'
import { corrupt, encode, id, mostly, oddText, oddValue, print, seldom } from './values.ts'

/** A request to an integration's endpoint; a signature, where one is needed, is added afterwards. */
export interface FuzzedSignal extends FuzzedRequest {
  signer: 'slack' | 'pagerduty' | null
}

const now = (): string => new Date().toISOString()
const label = fc.constantFrom('free', 'typed', 'thrice', 'anywhere', 'web-1', 'nginx', 'Sick', 'no', '../x')
const labels = fc.dictionary(
  fc.constantFrom('remediation', 'node', 'node_type', 'datacenter', 'alertname', 'unit', '@proto'),
  mostly(label),
)
const alert = fc.record({
  status: mostly(fc.constantFrom('firing', 'firing', 'firing', 'resolved')),
  labels: mostly(fc.oneof(labels, fc.constant({ remediation: 'free', node: 'web-1' }))),
  annotations: mostly(fc.dictionary(fc.constantFrom('summary', 'description'), fc.string())),
  startsAt: mostly(fc.constantFrom('2023-02-06T13:08:45.828Z', '2023-02-06T14:08:45.828+01:00')),
  fingerprint: mostly(fc.string()),
})
const group = fc.record({ version: mostly(fc.constant('4')), alerts: mostly(fc.array(alert, { maxLength: 4 })) })
const incident = fc.record({
  event: mostly(
    fc.record({
      id: mostly(fc.uuid()),
      event_type: mostly(fc.constantFrom('incident.triggered', 'pagey.ping')),
      occurred_at: mostly(fc.constant(null).map(now)),
      data: mostly(
        fc.record({
          id: mostly(fc.constant('PGR0VU2')),
          title: mostly(fc.constantFrom('full on web-1', 'full on web-9')),
          service: mostly(fc.constant({ id: 'PF9KMXH' })),
        }),
      ),
    }),
  ),
})
const event = fc.record(
  {
    specversion: mostly(fc.constant('1.0')),
    id: mostly(fc.uuid()),
    source: mostly(fc.constant('/monitoring')),
    type: mostly(fc.constantFrom('sick', 'other')),
    subject: mostly(fc.constantFrom('web-1', 'web-9')),
    time: mostly(fc.constant(null).map(now)),
    data: mostly(message),
    data_base64: seldom(oddValue),
  },
  { requiredKeys: ['specversion', 'id', 'source', 'type', 'data'] },
)
const typedText = fc
  .array(
    fc.oneof(
      fc.constantFrom('free', 'web-1', 'typed', 'unit=nginx', 'options={"a": 1}', 'reason', '"', '{', 'help'),
      oddText,
    ),
    { maxLength: 5 },
  )
  .map((words) => ['free', ...words].join(' '))
const press = fc.record({
  type: mostly(fc.constant('block_actions')),
  user: mostly(fc.constant({ id: 'U1', team_id: 'T1' })),
  actions: mostly(
    fc.array(fc.record({ action_id: fc.constantFrom('resile_approve', 'resile_reject'), value: mostly(id) })),
  ),
  message: oddValue,
})
const form = fc.oneof(
  typedText.map((text): Record<string, string> => ({ text })),
  press.map((payload): Record<string, string> => ({ payload: print(payload) })),
)

function signal(path: string, type: string, text: fc.Arbitrary<string>, signer: FuzzedSignal['signer']) {
  return fc.record({ text, headers, corrupted: seldom(fc.tuple(fc.nat(), fc.nat(255))), cf }).map(
    ({ text, headers, corrupted, cf }): FuzzedSignal => ({
      method: 'POST',
      path: `/v1/triggers/${path}`,
      headers: { ...headers, 'content-type': type },
      body: corrupted === null ? encode(text) : corrupt(encode(text), ...corrupted),
      cf,
      signer,
    }),
  )
}

export const anySignal: fc.Arbitrary<FuzzedSignal> = fc.oneof(
  signal('alertmanager', 'application/json', group.map(print), null),
  signal('pagerduty', 'application/json', incident.map(print), 'pagerduty'),
  signal('cloudevents', 'application/cloudevents+json', event.map(print), null),
  signal(
    'slack',
    'application/x-www-form-urlencoded',
    fc
      .tuple(form, fc.uuid())
      .map(([fields, nonce]) =>
        new URLSearchParams({ team_id: 'T1', user_id: 'U1', command: '/remediate', nonce, ...fields }).toString(),
      ),
    'slack',
  ),
)

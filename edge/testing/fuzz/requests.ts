/** Requests of every kind: like real ones, with mistakes, and quite unlike them. */
import fc from 'fast-check'
import { ROUTES } from '../../api/index.ts'
import { SECRET, signed } from '../webhook.ts'

/** One request to an application. */
export interface FuzzedRequest {
  method: string
  path: string
  headers: Record<string, string>
  body: Uint8Array | null
  cf: Record<string, unknown>
}

/** What stands in a JSON text for what no value can be written as. */
const RAW: Record<string, string> = {
  '"@huge"': '1e999',
  '"@long"': '9'.repeat(400),
  '"@deep"': `${'['.repeat(3000)}${']'.repeat(3000)}`,
  '"@objects"': `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`,
  '"@half"': '"\\ud800"',
  '"@proto"': '"__proto__"',
}

const names = fc.constantFrom(
  'free',
  'typed',
  'thrice',
  'asked',
  'web-1',
  'web-2',
  'dc1',
  'database',
  'ci',
  'no',
  'short',
)
const id = fc.uuid({ version: 7 })
const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '',
    '.',
    '..',
    '__proto__',
    'constructor',
    'toString',
    '\ud800',
    '\0',
    '💥',
    'e\u0301',
    '%',
    '%2f',
    '%zz',
    '*',
    ':id',
    'x'.repeat(3000),
  ),
)
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom('@huge', '@long', '@deep', '@objects', '@half', '@proto', null, true, -0, 1e308, 2 ** 53, [], {}, ''),
  fc.jsonValue({ maxDepth: 3 }),
  fc.record({ '@proto': fc.jsonValue({ maxDepth: 1 }) }),
  oddText,
)

/** Mostly what is right, sometimes what isn't. */
function mostly<Value>(
  right: fc.Arbitrary<Value>,
  odd: fc.Arbitrary<unknown> = oddValue,
  weight = 19,
): fc.Arbitrary<unknown> {
  return fc.oneof({ weight, arbitrary: right }, { weight: 1, arbitrary: odd })
}

/** Mostly nothing. */
function seldom<Value>(odd: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> {
  return fc.oneof({ weight: 7, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: odd })
}

const duration = fc.constantFrom('1ms', '1s', '10m', '0s', '9999h', '-1s', '1e9s', '5')
const target = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ node: 'web-1' }) },
  {
    weight: 2,
    arbitrary: fc.record(
      { node: mostly(names), node_type: mostly(names), datacenter: mostly(names), more: oddValue },
      { requiredKeys: [] },
    ),
  },
)
const startFields = {
  target: mostly(target),
  input: mostly(
    fc.dictionary(fc.oneof(fc.constantFrom('unit', 'count', 'options', '@proto'), oddText), mostly(fc.string())),
  ),
  reason: mostly(fc.string()),
  trigger: mostly(fc.record({ source: mostly(fc.string()), name: mostly(fc.string()) }, { requiredKeys: [] })),
  valid_for: mostly(duration),
}
const start = fc.record(startFields, { requiredKeys: ['target'] })
const strange = fc.record({ ...startFields, at: oddValue, '@proto': oddValue }, { requiredKeys: [] })
const message = fc.record(
  { ...startFields, workflow: mostly(fc.constantFrom('free', 'typed', 'thrice')) },
  { requiredKeys: ['target', 'workflow'] },
)
const envelope = fc.record(
  { type: mostly(fc.string()), timestamp: mostly(fc.constant('2026-01-01T00:00:00Z')), data: mostly(message) },
  { requiredKeys: ['data'] },
)
const freeze = fc.record({
  scope: mostly(fc.record({ workflow: names, node: names }, { requiredKeys: [] })),
  reason: mostly(fc.string()),
  for: mostly(duration),
})
const heartbeat = fc.record(
  {
    datacenter: mostly(fc.constantFrom('dc1', 'dc2')),
    types: mostly(fc.array(names, { maxLength: 3 })),
    labels: mostly(fc.dictionary(oddText, fc.string())),
    draining: mostly(fc.constant(false)),
    closed: mostly(fc.array(fc.oneof(id, oddText), { maxLength: 3 })),
    queues: mostly(fc.array(fc.record({ name: mostly(fc.constantFrom('dc1', 'dc1:node:web-3')) }), { maxLength: 3 })),
  },
  { requiredKeys: ['datacenter'] },
)
const word = fc.record({ reason: mostly(fc.string()), status: oddValue, node: mostly(names) }, { requiredKeys: [] })
const json = fc
  .oneof({ weight: 12, arbitrary: start }, strange, message, envelope, freeze, heartbeat, word, oddValue)
  .map(print)

/** One change of a text's bytes. */
const edit = fc.record({
  at: fc.nat(),
  remove: fc.nat(3),
  insert: fc.oneof(fc.constantFrom('', '"', '{', ']', ',', '\\u', '\0', '\ufeff'), oddText),
})
const bytes = fc.oneof(
  { weight: 10, arbitrary: json.map(encode) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(json, fc.array(edit, { minLength: 1, maxLength: 3 }))
      .map(([text, edits]) => encode(edits.reduce(change, text))),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(json, fc.nat(), fc.nat(255)).map(([text, at, byte]) => corrupt(encode(text), at, byte)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(65_536, 65_537).map((size) => encode(`{"reason":"${'x'.repeat(size - 13)}"}`)),
  },
)
const body = fc.option(bytes, { freq: 8 })

const segment = fc.oneof(
  { weight: 8, arbitrary: names },
  { weight: 2, arbitrary: id },
  { weight: 2, arbitrary: oddText.map(escaped) },
  { weight: 1, arbitrary: fc.webSegment() },
)
const routed = fc.tuple(fc.constantFrom(...ROUTES), segment).map(([{ method, path }, value]) => ({
  method: method as string,
  path: path.replaceAll(/:\w+/g, () => value),
}))
const starting = fc
  .constantFrom('free', 'free', 'typed', 'thrice')
  .map((name) => ({ method: 'POST', path: `/v1/workflows/${name}/executions` }))
const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND')
const pathEdit = fc.record({
  at: fc.nat(),
  remove: fc.nat(2),
  insert: fc.constantFrom(
    '/',
    '//',
    '/./',
    '/../',
    '%2f',
    '%2F',
    '%5c',
    '%00',
    '%25',
    '%2e%2e',
    '%',
    '%ff',
    '%C3%A9',
    'é',
    '💥',
    '\\',
    ';',
    '?',
    '#',
    ' ',
    '*',
  ),
})
const place = fc.oneof(
  { weight: 6, arbitrary: starting },
  { weight: 6, arbitrary: routed },
  { weight: 2, arbitrary: fc.record({ method, path: routed.map((route) => route.path) }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(routed, fc.array(pathEdit, { minLength: 1, maxLength: 3 }))
      .map(([route, edits]) => ({ ...route, path: `/${edits.reduce(change, route.path.slice(1))}` })),
  },
  { weight: 1, arbitrary: fc.record({ method, path: fc.webPath().map((path) => `/${path}`) }) },
)
const queries = fc.dictionary(
  fc.oneof(
    fc.constantFrom('limit', 'cursor', 'workflow', 'node', 'outcome', 'status', 'since', 'caller'),
    oddText.map(escaped),
  ),
  fc.oneof(names, id, fc.integer().map(String), oddText.map(escaped)),
  { maxKeys: 3 },
)

const headerText = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom(
    '',
    '0',
    '-1',
    '1e9',
    '99999999999999999999',
    'wait=0',
    'wait=99',
    'wait=x',
    '*/*',
    'x'.repeat(10_000),
    '00-0-0-0',
  ),
)
const headers = fc.dictionary(
  fc.constantFrom(
    'accept',
    'authorization',
    'content-encoding',
    'cookie',
    'expect',
    'forwarded',
    'host',
    'idempotency-key',
    'if-match',
    'origin',
    'prefer',
    'range',
    'traceparent',
    'webhook-id',
    'webhook-signature',
    'webhook-timestamp',
    'x-forwarded-for',
    'x-http-method-override',
    'x-request-id',
  ),
  headerText,
  { maxKeys: 3 },
)
const headerEdit = fc.record({
  at: fc.nat(),
  remove: fc.nat(2),
  insert: fc.constantFrom('', ' ', ',', ', ', 'v1,', ' v1,AAAA', '0', 'x', '.', '-', '='),
})
const contentType = fc.oneof(
  { weight: 12, arbitrary: fc.constant('application/json') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'application/json; charset=utf-16',
      'text/plain',
      '',
      'application/jsonp',
      'APPLICATION/JSON',
    ),
  },
)

/** What whoever ends TLS may say. */
const cf = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.record({
      clientIp: fc.ipV4(),
      tlsClientAuth: fc.record(
        {
          certPresented: mostly(fc.constant('1'), oddText),
          certVerified: mostly(fc.constant('SUCCESS'), oddText),
          certRevoked: mostly(fc.constant('0'), oddText),
          certRFC9440: mostly(
            fc.uint8Array({ maxLength: 60 }).map((der) => `:${btoa(String.fromCharCode(...der))}:`),
            oddText,
          ),
        },
        { requiredKeys: [] },
      ),
    }),
  },
)

/** Any request but a signed one. */
export const anyRequest: fc.Arbitrary<FuzzedRequest> = fc
  .record({ place, queries, headers, contentType, body, cf })
  .map(({ place: { method, path }, queries, headers, contentType, body, cf }) => ({
    method,
    path: `${path}${Object.entries(queries)
      .map(([key, value], index) => `${index === 0 ? '?' : '&'}${key}=${value}`)
      .join('')}`,
    headers: { 'content-type': contentType, prefer: 'wait=0', ...headers },
    body: method === 'GET' || method === 'HEAD' ? null : body,
    cf,
  }))

/** A message with its signature, of which something may be wrong. */
export const anyMessage: fc.Arbitrary<FuzzedRequest> = fc
  .record({
    name: fc.oneof({ weight: 8, arbitrary: fc.constant('ci') }, { weight: 1, arbitrary: segment }),
    text: fc.oneof(
      { weight: 6, arbitrary: message.map(print) },
      { weight: 3, arbitrary: envelope.map(print) },
      { weight: 1, arbitrary: json },
    ),
    id: fc.oneof(
      { weight: 6, arbitrary: fc.uuid() },
      { weight: 1, arbitrary: fc.constantFrom('a', 'b', 'a.b', 'x'.repeat(256)) },
    ),
    off: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -290, max: 290 }) },
      { weight: 1, arbitrary: fc.integer() },
    ),
    secret: fc.oneof(
      { weight: 8, arbitrary: fc.constant(SECRET) },
      { weight: 1, arbitrary: fc.constant(btoa('x'.repeat(24))) },
    ),
    wrong: seldom(
      fc.record({
        header: fc.constantFrom('webhook-id', 'webhook-timestamp', 'webhook-signature'),
        edit: headerEdit,
        twice: fc.boolean(),
      }),
    ),
    corrupted: seldom(fc.tuple(fc.nat(), fc.nat(255))),
    headers,
    contentType,
    cf,
  })
  .map(({ name, text, id, off, secret, wrong, corrupted, headers, contentType, cf }) => {
    const timestamp = Math.min(Math.max(Math.floor(Date.now() / 1000) + off, 0), 8e12)
    const right: Record<string, string> = {
      ...headers,
      ...signed(text, { id, timestamp, secret }),
      'content-type': contentType,
    }
    if (wrong !== null) {
      const value = right[wrong.header] ?? ''
      right[wrong.header] = wrong.twice ? `${value}, ${value}` : change(value, wrong.edit)
    }
    const sent = encode(text)
    return {
      method: 'POST',
      path: `/v1/triggers/webhook/${name}`,
      headers: right,
      body: corrupted === null ? sent : corrupt(sent, ...corrupted),
      cf,
    }
  })

/** A request to a door for signals or people of other systems; who has to sign it, does so afterwards. */
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

function print(value: unknown): string {
  const text = JSON.stringify(value) ?? ''
  return Object.entries(RAW).reduce((all, [placeholder, raw]) => all.replaceAll(placeholder, raw), text)
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function change(text: string, { at, remove, insert }: { at: number; remove: number; insert: string }): string {
  const index = text.length === 0 ? 0 : at % text.length
  return text.slice(0, index) + insert + text.slice(index + remove)
}

function corrupt(sent: Uint8Array, at: number, byte: number): Uint8Array {
  return sent.with(at % Math.max(sent.length, 1), byte)
}

function escaped(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : text
}

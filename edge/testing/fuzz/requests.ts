/** Requests of every kind: like real ones, with mistakes, and quite unlike them. */
import fc from 'fast-check'
import { ROUTES } from '../../api/index.ts'
import { SECRET, signed } from '../webhook.ts'
import { change, corrupt, encode, id, mostly, names, oddText, oddValue, print, seldom } from './values.ts'

/** One request to an application. */
export interface FuzzedRequest {
  method: string
  path: string
  headers: Record<string, string>
  body: Uint8Array | null
  cf: Record<string, unknown>
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
export const message = fc.record(
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
export const headers = fc.dictionary(
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

/** What a TLS terminator may pass on. */
export const cf = fc.oneof(
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

function escaped(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : text
}

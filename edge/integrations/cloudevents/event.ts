/**
 * CloudEvents 1.0 over HTTP, in binary and in structured mode.
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
 */
import { z } from 'zod'
import type { Config } from '../../../shared/config.ts'
import { checkJson, decodeJson, mediaType } from '../../http/body.ts'
import { checkAt, type InputError, jsonPointer, ProblemError } from '../../http/problem.ts'
import type { Signal } from '../../trigger/batch.ts'
import { refuseStale } from '../../trigger/freshness.ts'
import { detectorsWith, requestedBy } from '../../trigger/push-detectors.ts'

const STRUCTURED = 'application/cloudevents+json'
const SOURCE = 'cloudevents'

/** One event. */
export interface CloudEvent {
  attributes: Attributes
  /** Undefined when it is not JSON, or there is none. */
  data: unknown
  /** JSON Pointer of the data in the request's body. */
  pointer: string
  /** Whether all of it is in the body; else its attributes are in headers. */
  isStructured: boolean
}

const attributesSchema = z
  .object({
    specversion: z.literal('1.0', { error: 'must be 1.0' }),
    id: z.string().min(1, { error: 'must not be empty' }).max(1024),
    source: z.string().min(1, { error: 'must not be empty' }).max(1024),
    type: z.string().min(1, { error: 'must not be empty' }).max(1024),
    subject: z.string().min(1).max(1024).optional(),
    time: z.iso.datetime({ offset: true, error: 'must be a time as RFC 3339 writes it' }).optional(),
    datacontenttype: z.string().optional(),
  })
  .catchall(
    z.union([z.string(), z.boolean(), z.number()], { error: 'an attribute must be a string, a number, true or false' }),
  )
type Attributes = z.output<typeof attributesSchema>

/**
 * Reads an event. Its mode follows from the media type: `application/cloudevents+json` is structured, any that doesn't begin
 * with `application/cloudevents` binary.
 *
 * @throws ProblemError `unsupported_media_type` for batches and other formats, else `bad_request`
 */
export function readEvent(request: Request, body: Uint8Array): CloudEvent {
  const type = mediaType(request.headers)
  const event = type.startsWith('application/cloudevents') ? structured(type, body) : binary(request.headers, body)
  const { time } = event.attributes
  if (time !== undefined) refuseStale(time, event.isStructured ? '/time' : '/ce-time')
  return event
}

function structured(type: string, body: Uint8Array): CloudEvent {
  if (type !== STRUCTURED) {
    throw new ProblemError('unsupported_media_type', `send one event per request, as ${STRUCTURED} or in binary mode`, {
      headers: { accept: `${STRUCTURED}, application/json` },
    })
  }
  const json = checkJson(z.record(z.string(), z.unknown()), decodeJson(body))
  const { data, data_base64, ...given } = json
  // Null means that the attribute is absent.
  const attributes = attributesOf(
    Object.entries(given).filter(([, value]) => value !== null),
    (name) => [name],
  )
  if (data_base64 === undefined || data_base64 === null) {
    return { attributes, data: data ?? undefined, pointer: '/data', isStructured: true }
  }
  const encoded = checkJson(z.object({ data_base64: z.base64() }), json).data_base64
  if (Object.hasOwn(json, 'data'))
    throw invalid([{ path: '/data_base64', message: 'data and data_base64 are mutually exclusive' }])
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0))
  return {
    attributes,
    data: isJson(attributes.datacontenttype) ? checkAt('/data_base64', () => decodeJson(bytes)) : undefined,
    pointer: '/data_base64',
    isStructured: true,
  }
}

function binary(headers: Headers, body: Uint8Array): CloudEvent {
  const pairs = [...headers].flatMap(([name, value]) =>
    name.startsWith('ce-') ? [[name.slice(3), value] as const] : [],
  )
  const mistakes: InputError[] = []
  const given = pairs.map(([name, value]): [string, unknown] => {
    const decoded = decodedHeader(value)
    if (decoded === null) {
      mistakes.push({
        path: jsonPointer([`ce-${name}`]),
        message: 'header: must be given exactly once, percent-encoded UTF-8',
      })
    }
    return [name, decoded ?? '']
  })
  if (given.some(([name]) => name === 'datacontenttype')) {
    mistakes.push({ path: '/ce-datacontenttype', message: 'header: is Content-Type in binary mode' })
  }
  if (mistakes.length > 0) throw invalid(mistakes)
  const attributes = attributesOf(given, (name) => [`ce-${name}`])
  const isData = body.byteLength > 0 && isJson(headers.get('content-type') ?? undefined)
  return { attributes, data: isData ? decodeJson(body) : undefined, pointer: '', isStructured: false }
}

/** Checks attributes. @throws ProblemError `bad_request` with the place of each mistake */
function attributesOf(given: [string, unknown][], placeOf: (name: string) => string[]): Attributes {
  const invalidNames = given.filter(([name]) => !/^[a-z0-9]{1,64}$/.test(name))
  const parsed = attributesSchema.safeParse(Object.fromEntries(given))
  const mistakes = [
    ...invalidNames.map(([name]) => ({
      path: jsonPointer(placeOf(name)),
      message: 'a name is of lower-case letters and digits',
    })),
    ...(parsed.error?.issues ?? []).map(({ path: [name], message }) => ({
      path: jsonPointer(placeOf(String(name))),
      message: given.some(([other]) => other === name) ? message : 'is required',
    })),
  ]
  if (mistakes.length > 0 || parsed.data === undefined) throw invalid(mistakes)
  return parsed.data
}

/**
 * The value of a header, by section 3.1.3.2 of the binding: percent-encoded, or between quotes as older senders write
 * it. A header that is sent twice arrives as one with a comma and a space, which no unquoted value contains.
 */
function decodedHeader(value: string): string | null {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value)?.[1]
  if (quoted === undefined && !/^[\x21\x23-\x7e]*$/.test(value)) return null
  try {
    return decodeURIComponent(quoted === undefined ? value : quoted.replaceAll(/\\(.)/g, '$1'))
  } catch {
    return null
  }
}

function isJson(type: string | undefined): boolean {
  return type !== undefined && /^application\/(?:[^;]+\+)?json\s*(?:;|$)/i.test(type.trim())
}

function invalid(errors: InputError[]): ProblemError {
  return new ProblemError('bad_request', 'the request is not a valid CloudEvent', { errors })
}

/**
 * An event as a signal: it requests a start for each detector that it matches.
 *
 * @param workflow the only workflow that its sender may start; undefined for any
 */
export function cloudeventSignal(config: Config, event: CloudEvent, workflow: string | undefined): Signal {
  const { id, source, type, subject } = event.attributes
  const fingerprint = subject ?? id
  const facts = { labels: labelsOf(event), annotations: {}, value: null }
  const common = {
    source: SOURCE,
    fingerprint,
    reason: `${type} from ${source}${subject === undefined ? '' : `: ${subject}`}`,
    deduplicationKey: deduplicationKeyOf(event),
  }
  const requested = detectorsWith(config, 'cloudevent')
    .filter(({ detector }) => workflow === undefined || detector.workflow === workflow)
    .filter(({ source: match }) => match.type === type && (match.source === undefined || match.source === source))
    .map((detector) => requestedBy(detector, facts, common))
  return {
    fingerprint,
    status: type,
    requested,
    fallback: { outcome: 'ignored', detail: `no detector matches ${type}` },
  }
}

/** What identifies an event. */
export function deduplicationKeyOf({ attributes: { source, id } }: CloudEvent): string[] {
  return [SOURCE, source, id]
}

/** What of an event detectors can interpolate: its attributes, and the scalar members of its data. */
function labelsOf({ attributes, data }: CloudEvent): Record<string, string> {
  const { specversion: _, datacontenttype: __, ...rest } = attributes
  const members = typeof data === 'object' && data !== null && !Array.isArray(data) ? Object.entries(data) : []
  const plain = members.filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
  return Object.fromEntries([...plain, ...Object.entries(rest)].map(([name, value]) => [name, String(value)]))
}

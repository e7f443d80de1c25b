/** Request bodies: read up to a limit before anything else is checked, then parsed and validated. */
import canonicalize from 'canonicalize'
import type { z } from 'zod'
import { sha256 } from '../../shared/sha256.ts'
import { type InputError, jsonPointer, ProblemError } from './problem.ts'

/** Levels of nesting in a JSON body; more is an attack on recursive code. */
const MAX_NESTING = 64

/**
 * Reads a request's body.
 *
 * @param limit most bytes
 * @throws ProblemError `too_large` beyond
 */
export async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const announced = Number(request.headers.get('content-length') ?? Number.NaN)
  if (announced > limit) throw tooLarge(limit)
  // With a length, HTTP itself bounds the body; without one, it is counted as it comes.
  if (announced >= 0) return new Uint8Array(await request.arrayBuffer())
  const chunks: Uint8Array[] = []
  let size = 0
  if (request.body !== null) {
    for await (const chunk of request.body as ReadableStream<Uint8Array>) {
      size += chunk.byteLength
      if (size > limit) throw tooLarge(limit)
      chunks.push(chunk)
    }
  }
  const body = new Uint8Array(size)
  chunks.reduce((offset, chunk) => {
    body.set(chunk, offset)
    return offset + chunk.byteLength
  }, 0)
  return body
}

/**
 * Parses and checks a JSON body. No body at all is an empty object.
 *
 * @throws ProblemError `unsupported_media_type`, or `bad_request` with the path of each mistake
 */
export function parseBody<Output>(
  schema: z.ZodType<Output>,
  request: Request,
  body: Uint8Array,
): { value: Output; json: unknown } {
  const json = readJson(request, body)
  return { value: checkJson(schema, json), json }
}

/**
 * Parses a JSON body. No body at all is an empty object.
 *
 * @throws ProblemError `unsupported_media_type`, or `bad_request` for what is no JSON, or would not survive the way
 */
export function readJson(request: Request, body: Uint8Array): unknown {
  return body.byteLength === 0 ? {} : parseJson(request, body)
}

/**
 * Checks a parsed body.
 *
 * @throws ProblemError `bad_request` with the path of each mistake
 */
export function checkJson<Output>(schema: z.ZodType<Output>, json: unknown): Output {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new ProblemError('bad_request', 'the request body is not valid', { errors: inputErrors(parsed.error) })
}

/** SHA-256 (hex) of a JSON value's canonical form (RFC 8785): equal for bodies that are equal as parsed JSON. */
export async function hashJson(json: unknown): Promise<string> {
  return sha256(canonicalize(json) ?? '')
}

/** The mistakes that a schema found, each at its JSON Pointer. */
function inputErrors(error: z.ZodError): InputError[] {
  return error.issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return [{ path: jsonPointer(issue.path), message: issue.message }]
    return issue.keys.map((key) => ({ path: jsonPointer([...issue.path, key]), message: 'unknown field' }))
  })
}

function parseJson(request: Request, body: Uint8Array): unknown {
  const type = mediaType(request.headers)
  if (type !== 'application/json') {
    throw new ProblemError(
      'unsupported_media_type',
      `the body must be application/json, not ${type || 'untyped: set Content-Type'}`,
      {
        headers: { accept: 'application/json' },
      },
    )
  }
  return decodeJson(body)
}

/** The media type of a body, without parameters, in lower case; empty when none is given. */
export function mediaType(headers: Headers): string {
  return headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
}

/**
 * Parses JSON, whatever its media type.
 *
 * @throws ProblemError `bad_request` for what is no JSON, or would not survive the way
 */
export function decodeJson(body: Uint8Array): unknown {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body))
  } catch (error) {
    const message = error instanceof Error ? error.message : 'not JSON'
    throw new ProblemError('bad_request', 'the request body is not JSON', { errors: [{ path: '', message }] })
  }
  const mistake = findMistake(json, [])
  if (mistake !== null) throw new ProblemError('bad_request', 'the request body is not valid', { errors: [mistake] })
  return json
}

/**
 * The first place that no schema would find, but that would not survive the way: endless nesting, endless numbers, half
 * characters.
 */
function findMistake(value: unknown, path: readonly PropertyKey[]): InputError | null {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return { path: jsonPointer(path), message: 'the number is too large' }
  }
  if (typeof value === 'string' && !value.isWellFormed()) {
    return { path: jsonPointer(path), message: 'half of a surrogate pair is no character' }
  }
  if (typeof value !== 'object' || value === null) return null
  if (path.length >= MAX_NESTING) return { path: '', message: `nested deeper than ${MAX_NESTING} levels` }
  for (const [key, item] of Object.entries(value)) {
    const mistake = findMistake(key, path) ?? findMistake(item, [...path, key])
    if (mistake !== null) return mistake
  }
  return null
}

/** The problem of a body over a limit, in bytes. */
export function tooLarge(limit: number): ProblemError {
  return new ProblemError('too_large', `the request body is over ${limit / 1024} KiB`)
}

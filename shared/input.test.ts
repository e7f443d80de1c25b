import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { inputSchema } from './config/input.ts'
import { checkFields, type InputField } from './input.ts'

/** Fields as the configuration reads them. */
function fieldsOf(declared: Record<string, unknown>): Record<string, InputField> {
  return Object.fromEntries(Object.entries(declared).map(([name, field]) => [name, inputSchema.parse(field)]))
}

const FIELDS = fieldsOf({
  command: { type: 'string', required: true, one_of: ['restart', 'reload'] },
  params: { type: 'object', values: 'string' },
  next: {
    type: 'object',
    field: {
      command: { type: 'string', required: true, one_of: ['restart', 'reload'] },
      next: { type: 'object', recursive: true },
    },
  },
  check: {
    type: 'object',
    field: {
      url: { type: 'url', required: true, hosts: ['127.0.0.1', '*.internal', '10.0.0.0/8'] },
      expectStatus: { type: 'number', default: 200 },
    },
  },
})

function mistakes(input: Record<string, unknown>): string[] {
  return checkFields(FIELDS, input).mistakes.map(({ path, message }) => `${path.join('/')}: ${message}`)
}

describe('input fields', () => {
  it('everything right → values with defaults, also nested ones', () => {
    const input = { command: 'restart', params: { a: 'b' }, check: { url: 'http://127.0.0.1/' } }
    expect(checkFields(FIELDS, input)).toEqual({
      values: { ...input, check: { url: 'http://127.0.0.1/', expectStatus: 200 } },
      mistakes: [],
    })
  })

  it.each([
    [{ command: 'wipe' }, 'command: must be one of restart, reload'],
    [{ params: { a: 1 } }, 'params/a: must be of type string'],
    [{ params: { a: { b: 'c' } } }, 'params/a: must be of type string'],
    [{ next: { command: 'wipe' } }, 'next/command: must be one of'],
    [{ next: {} }, 'next/command: is required'],
    [{ next: { command: 'reload', more: 1 } }, 'next/more: the workflow has no such input'],
    [{ next: { command: 'reload', next: { command: 'wipe' } } }, 'next/next/command: must be one of'],
    [{ check: {} }, 'check/url: is required'],
    [{ check: { url: 'data:,ok' } }, 'check/url: data: is neither http: nor https:'],
    [{ check: { url: 'not a url' } }, 'check/url: must be a URL'],
    [{ check: { url: 'http://evil.example/' } }, 'check/url: must be on one of 127.0.0.1, *.internal, 10.0.0.0/8'],
    [{ check: { url: 'http://127.0.0.1@evil.example/' } }, 'check/url: must not hold a user'],
    [{ check: { url: 'http://169.254.169.254/' } }, 'check/url: must not be a link-local or metadata address'],
    [{ check: { url: 'http://127.0.0.1/', expectStatus: '200' } }, 'check/expectStatus: must be of type number'],
    [JSON.parse('{"next":{"command":"reload","__proto__":{}}}') as object, 'next/__proto__: the workflow has no such'],
  ])('%j → %s', (input, message) => {
    expect(mistakes({ command: 'restart', ...input })).toEqual([expect.stringContaining(message)])
  })

  it('recursion without end → refused', () => {
    let next: object = { command: 'reload' }
    for (let level = 0; level < 10_000; level++) next = { command: 'reload', next }
    expect(mistakes({ command: 'restart', next })).toEqual([expect.stringMatching(/nested too deeply$/)])
  })

  property.prop([fc.object({ maxDepth: 6 })])(
    'anything → no exception, and no value that was not declared',
    (input) => {
      const { values, mistakes } = checkFields(FIELDS, input)
      if (mistakes.length === 0) expect(Object.keys(FIELDS)).toEqual(expect.arrayContaining(Object.keys(values)))
      expect(Object.keys(values).every((key) => Object.hasOwn(FIELDS, key))).toBe(true)
    },
  )
})

describe('input blocks', () => {
  it.each([
    [{ type: 'string', values: 'string' }, 'only an input of type "object" has values'],
    [{ type: 'object', pattern: 'x' }, 'only an input of type "string" has a pattern'],
    [{ type: 'string', hosts: ['a'] }, 'only an input of type "url" has hosts'],
    [{ type: 'object', recursive: true }, 'only a field of another input is recursive'],
    [{ type: 'object', values: 'string', field: { a: { type: 'string' } } }, 'mutually exclusive'],
    [{ type: 'url', hosts: ['http://a/'] }, 'expected a host name'],
    [{ type: 'string', one_of: ['a'], default: 'b' }, 'must be one of a'],
    [{ type: 'url', default: 'file:///x' }, 'neither http: nor https:'],
    [{ type: 'object', field: { a: { type: 'string', required: true } }, default: {} }, 'a: is required'],
  ])('%j → %s', (field, message) => {
    const issues = inputSchema.safeParse(field).error?.issues.map((issue) => issue.message)
    expect(issues).toEqual([expect.stringContaining(message)])
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { workflowSchema } from '../../../shared/config.ts'
import type { Workflow } from '../../../shared/workflows.ts'
import { ProblemError } from '../../http/problem.ts'
import { readParameters, splitCommand, usageOf } from './command.ts'

function workflow(task_queue_target: string, input?: object): Workflow {
  return {
    ...workflowSchema.parse({ task_queue_target, ...(input === undefined ? {} : { input }) }),
    name: 'w',
    type: 'w',
  }
}

const TYPED = workflow('node', {
  unit: { type: 'string', required: true },
  count: { type: 'number' },
  force: { type: 'bool' },
  check: { type: 'object' },
})
const FREE = workflow('node')

describe('slash command', () => {
  it.each([[''], ['  '], ['help'], [' help me']])('%j asks for help', (text) => expect(splitCommand(text)).toBeNull())

  it.each<[string, Workflow, object]>([
    ['web-1', TYPED, { target: { node: 'web-1' }, input: {}, reason: null }],
    ['web-1@fra', TYPED, { target: { node: 'web-1', datacenter: 'fra' } }],
    ['web-1 reason disk is  dying ', TYPED, { target: { node: 'web-1' }, reason: 'disk is  dying' }],
    ['web-1 reason', TYPED, { reason: null }],
    ['web-1 unit=nginx count=3 force=true', TYPED, { input: { unit: 'nginx', count: 3, force: true } }],
    ['web-1 unit=5 count=-1.5e2', TYPED, { input: { unit: '5', count: -150 } }],
    ['web-1 unit="two words" reason because', TYPED, { input: { unit: 'two words' }, reason: 'because' }],
    ['web-1 unit="a \\"b\\"" count=1', TYPED, { input: { unit: 'a "b"', count: 1 } }],
    ['web-1 unit=a=b', TYPED, { input: { unit: 'a=b' } }],
    ['web-1 unit=', TYPED, { input: { unit: '' } }],
    [
      'web-1 check={"url": "http://127.0.0.1:8080/", "more": {"a": [1, 2]} } unit=x reason y={z}',
      TYPED,
      { input: { check: { url: 'http://127.0.0.1:8080/', more: { a: [1, 2] } }, unit: 'x' }, reason: 'y={z}' },
    ],
    ['web-1 a=1 b=true c=text d="1" e={"f": 1}', FREE, { input: { a: 1, b: true, c: 'text', d: '1', e: { f: 1 } } }],
    ['web-1 other=1', TYPED, { input: { other: '1' } }],
    ['database', workflow('node_type'), { target: { node_type: 'database' } }],
    ['database@fra', workflow('node_type:database'), { target: { node_type: 'database', datacenter: 'fra' } }],
    ['', workflow('node_type:database'), { target: {} }],
    ['reason why', workflow('datacenter'), { target: {}, reason: 'why' }],
    ['fra', workflow('datacenter'), { target: { datacenter: 'fra' } }],
  ])('%j → understood', (rest, to, expected) => {
    expect(readParameters(to, rest)).toMatchObject(expected)
  })

  it('typographic quotes → accepted', () => {
    expect(splitCommand('w web-1 unit=“two words”')).toEqual({ workflow: 'w', rest: ' web-1 unit="two words"' })
  })

  it.each<[string, string]>([
    ['web-1 web-2', '"web-2": after the target'],
    ['unit=x web-1', '"web-1": after the target'],
    ['web-1 unit=x unit=y', 'unit is there twice'],
    ['web-1 count=many', 'count: "many" is not of type number'],
    ['web-1 count=1e999', 'is not of type number'],
    ['web-1 force=yes', 'force: "yes" is not of type bool'],
    ['web-1 check=[1]', 'is not of type object'],
    ['web-1 check={"a":', 'is not of type object'],
    [`web-1 check=${'{"a":'.repeat(70)}1${'}'.repeat(70)}`, 'is not of type object'],
  ])('%j → not understood, with the reason', (rest, detail) => {
    expect(() => readParameters(TYPED, rest)).toThrow(detail)
  })

  it('any text → understood or refused', () => {
    const words = fc.constantFrom(
      'web-1',
      'unit=',
      'check={',
      '}',
      '"',
      '“',
      'reason',
      '{"a":1}',
      'a=b',
      '__proto__=1',
      '\n',
      '\\',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(words, fc.string())), fc.constantFrom(TYPED, FREE), (parts, to) => {
        const thrown = (() => {
          try {
            const split = splitCommand(parts.join(' '))
            if (split !== null) readParameters(to, split.rest)
            return null
          } catch (error) {
            return error
          }
        })()
        expect(thrown === null || thrown instanceof ProblemError).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

it('workflow in the help → its usage', () => {
  expect(usageOf(TYPED)).toBe('w NODE unit=STRING [count=NUMBER] [force=BOOL] [check=OBJECT] [reason …]')
  expect(usageOf(workflow('node_type'))).toBe('w NODE_TYPE [reason …]')
  expect(usageOf(workflow('node_type:database'))).toBe('w [reason …]')
})

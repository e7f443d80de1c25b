import { expect, it } from 'vitest'
import type { InputField } from '../../shared/input.ts'
import { ProblemError } from '../http/problem.ts'
import { validateInput } from './input.ts'

const FIELDS: Record<string, InputField> = {
  unit: { type: 'string', required: true, pattern: '^[a-z]+$' },
  count: { type: 'number', required: false, default: 2 },
  force: { type: 'bool', required: false },
  options: { type: 'object', required: false },
}

function mistakes(input: Record<string, unknown>): string[] {
  try {
    validateInput(FIELDS, input)
    return []
  } catch (error) {
    return error instanceof ProblemError && error.code === 'invalid_input'
      ? (error.errors ?? []).map(({ path }) => path)
      : ['?']
  }
}

it('input: defaults declared → filled in, nothing else', () =>
  expect(validateInput(FIELDS, { unit: 'a' })).toEqual({ unit: 'a', count: 2 }))

it('input: nothing declared → any object', () => expect(validateInput(undefined, { x: [1] })).toEqual({ x: [1] }))

it.each([
  [{}, ['/input/unit']],
  [{ unit: 'A' }, ['/input/unit']],
  [
    { unit: 5, count: '2', force: 'yes', options: [] },
    ['/input/unit', '/input/count', '/input/force', '/input/options'],
  ],
  [{ unit: 'a', options: null }, ['/input/options']],
  [{ unit: 'a', 'x/y': 1 }, ['/input/x~1y']],
  [JSON.parse('{"unit":"a","__proto__":{}}') as Record<string, unknown>, ['/input/__proto__']],
])('input: %j → refused at %j', (input, paths) => expect(mistakes(input)).toEqual(paths))

it('input from a signal, texts that stand for numbers and bools → converted', () => {
  const input = { unit: 'a', count: '1e2', force: 'true', options: { n: '5' } }
  expect(validateInput(FIELDS, input, true)).toEqual({ unit: 'a', count: 100, force: true, options: { n: '5' } })
  expect(mistakes(input)).toEqual(['/input/count', '/input/force'])
})

it.each(['', ' 5', '0x10', 'NaN', 'Infinity', '1e999', '5s'])(
  'input from a signal, %j for a number → rejected',
  (count) => {
    expect(() => validateInput(FIELDS, { unit: 'a', count }, true)).toThrow(ProblemError)
  },
)

it('input from a signal, nested fields → converted too', () => {
  const fields: Record<string, InputField> = {
    check: {
      type: 'object',
      required: true,
      field: { expectStatus: { type: 'number', required: true }, url: { type: 'string', required: true } },
    },
    limits: { type: 'object', required: false, values: 'number' },
  }
  const input = { check: { expectStatus: '204', url: '8080' }, limits: { a: '1', b: '-2.5' } }
  expect(validateInput(fields, input, true)).toEqual({
    check: { expectStatus: 204, url: '8080' },
    limits: { a: 1, b: -2.5 },
  })
})

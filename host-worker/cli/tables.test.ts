import { expect, it } from 'vitest'
import type { Problem } from '../../shared/wire.ts'
import { printable, problemDetails } from './tables.ts'

it('tables: control characters → replaced', () => {
  expect(printable('a\u001b[2Jb\u009bc\u202ed\u2028e\nf')).toBe('a [2Jb c d e\nf')
  const problem = { type: 'about:blank', title: 't', status: 422, detail: 'no \u001b]0;x\u0007', code: 'invalid_input' }
  expect(problemDetails(422, problem as Problem)).toBe('resile: invalid_input: no  ]0;x ')
})

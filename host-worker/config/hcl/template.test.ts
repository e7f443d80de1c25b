import { expect, test } from 'vitest'
import { escapeTemplate, isTemplateExpression } from './template.ts'

test('isTemplateExpression: three forms → true', () => {
  for (const form of ['value', 'labels.node', 'annotations._x1']) expect(isTemplateExpression(form)).toBe(true)
  for (const form of [
    '',
    'values',
    'labels',
    'labels.',
    'labels.1',
    'labels.a-b',
    'labels.a.b',
    'labels["a"]',
    'var.x',
  ]) {
    expect(isTemplateExpression(form)).toBe(false)
  }
})

test('escapeTemplate: literal text → escaped', () => {
  expect(escapeTemplate('a ${b} $ {c} %{d} $')).toBe('a $${b} $ {c} %{d} $')
})

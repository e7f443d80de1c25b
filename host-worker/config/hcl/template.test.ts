import { expect, test } from 'vitest'
import { escapeTemplate, isTemplateExpression } from './template.ts'

test('isTemplateExpression: its forms → true', () => {
  const forms = [
    'value',
    'labels.node',
    'annotations._x1',
    'labels["host.name"]',
    'annotations["a b-c/d"]',
    'labels["1"]',
  ]
  for (const form of forms) expect(isTemplateExpression(form)).toBe(true)
  for (const form of [
    '',
    'values',
    'labels',
    'labels.',
    'labels.1',
    'labels.a-b',
    'labels.a.b',
    'labels[a]',
    'labels[""]',
    'labels["a\\"b"]',
    'labels["${x}"]',
    'labels[0]',
    'var.x',
  ]) {
    expect(isTemplateExpression(form)).toBe(false)
  }
})

test('escapeTemplate: literal text → escaped', () => {
  expect(escapeTemplate('a ${b} $ {c} %{d} $')).toBe('a $${b} $ {c} %{d} $')
})

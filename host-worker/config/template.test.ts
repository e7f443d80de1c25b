import { fc, test as property } from '@fast-check/vitest'
import { expect, test } from 'vitest'
import { escapeTemplate, renderTemplate } from './template.ts'

const scope = { labels: { node: 'web-1', 'a-b': '${value}' }, annotations: { summary: 'slow' }, value: 0.5 }

test.each([
  ['${labels.node}:${annotations.summary}=${value}', 'web-1:slow=0.5'],
  ['what was filled in is not filled in again: ${labels.a-b}', 'what was filled in is not filled in again: ${value}'],
  ['$${value} $$ ${value}', '${value} $$ 0.5'],
  ['${labels.none}', null],
  ['${labels.constructor}', null],
  ['${other.x}', null],
])('%s', (template, text) => {
  expect(renderTemplate(template, scope)).toBe(text)
})

property.prop([
  fc.string({ unit: fc.constantFrom('$', '{', '}', 'value', 'x') }).filter((text) => !/\$\$+\{/.test(text)),
])('escaped text is rendered as it was', (text) => {
  expect(renderTemplate(escapeTemplate(text), scope)).toBe(text)
})

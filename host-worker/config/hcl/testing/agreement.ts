import type { Position } from '../diagnostic.ts'
import { isTemplateExpression } from '../template.ts'
import type { Block, Body, TextPart, Value } from '../tree.ts'

/**
 * Where a tree says something else than HashiCorp's parser (the JSON that hcl2json made of the same text), or null when
 * they agree. Two readers that understand a safety limit differently must not be resolved in favour of either.
 *
 * Not compared is what hcl2json loses: broken values, duplicates, and attributes beside blocks of one name; those are
 * reported as errors elsewhere.
 */
export function disagreement(body: Body, json: unknown): Position | null {
  if (!isRecord(json)) return { line: 1, column: 1 }
  const names = new Set(body.map(({ name }) => name))
  for (const name of Object.keys(json)) if (!names.has(name)) return { line: 1, column: 1 }
  for (const name of names) {
    const same = body.filter((item) => item.name === name)
    const place = blockDisagreement(
      same.filter((item) => item.form === 'block'),
      same.length,
      json[name],
    )
    if (place !== null) return place
    for (const item of same) {
      if (item.form === 'attribute' && same.length === 1 && !agrees(item.value, json[name])) return item.at
    }
  }
  return null
}

/** Compares blocks of one type; hcl2json nests them by label, `{label: {label: [body, …]}}`. */
function blockDisagreement(blocks: Block[], all: number, json: unknown): Position | null {
  if (blocks.length !== all) return null
  const counts = new Map<unknown, number>()
  for (const block of blocks) {
    let found = json
    for (const { text } of block.labels) found = isRecord(found) ? found[text] : undefined
    if (!Array.isArray(found)) return block.at
    const index = counts.get(found) ?? 0
    counts.set(found, index + 1)
    const place = disagreement(block.body, found[index])
    if (place !== null) return place
  }
  return null
}

function agrees(value: Value, json: unknown): boolean {
  switch (value.kind) {
    case 'broken':
      return true
    case 'literal':
      return value.value === json
    case 'text':
      // Other expressions are refused whatever they mean, and each reader spaces them in its own way.
      if (value.parts.some((part) => 'expression' in part && !isTemplateExpression(part.expression))) return true
      return typeof json === 'string' && undoubled(textOf(value.parts)) === undoubled(json)
    case 'list':
      return (
        Array.isArray(json) &&
        json.length === value.items.length &&
        value.items.every((item, index) => agrees(item, json[index]))
      )
    case 'object': {
      if (!isRecord(json) || value.fields.some(({ name }) => name === null)) return isRecord(json)
      // Of duplicates, which are reported elsewhere, the last wins.
      const said = new Map(value.fields.map((field) => [undoubled(field.name ?? ''), field.value]))
      const read = new Map(Object.entries(json).map(([name, field]) => [undoubled(name), field]))
      return (
        read.size === said.size && [...said].every(([name, field]) => read.has(name) && agrees(field, read.get(name)))
      )
    }
  }
}

function textOf(parts: TextPart[]): string {
  return parts.map((part) => ('literal' in part ? part.literal : `\${${part.expression}}`)).join('')
}

/** hcl2json leaves `$${` doubled in some places. */
function undoubled(text: string): string {
  return text.replaceAll(/([$%])\1\{/g, '$1{')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

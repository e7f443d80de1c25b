/** The keys of a configuration schema, found by walking it. */
import type { z } from 'zod'

/** One key that an HCL file may have. */
export interface Key {
  /** Names of blocks without their labels, and the key, joined by dots. */
  readonly path: string
  readonly isBlock: boolean
  readonly isRequired: boolean
  /** The default as the schema has it, durations in milliseconds; undefined without one. */
  readonly fallback: unknown
}

/** The parts of zod's internal definitions that are needed here. */
interface Definition {
  type: string
  innerType?: z.ZodType
  in?: z.ZodType
  valueType?: z.ZodType
  element?: z.ZodType
  shape?: Record<string, z.ZodType>
  defaultValue?: unknown
}

export function keysOf(schema: z.ZodType): Key[] {
  return keysBelow(schema, '')
}

function keysBelow(schema: z.ZodType, prefix: string): Key[] {
  const { shape } = definitionOf(unwrapped(schema).schema)
  if (shape === undefined) throw new Error(`${prefix || 'the file'} is not an object`)
  return Object.entries(shape).flatMap(([name, child]) => {
    const path = `${prefix}${name}`
    const { schema: inner, isRequired, fallback } = unwrapped(child)
    const block = blockOf(inner)
    const key = { path, isBlock: block !== null, isRequired, fallback }
    // A block within one of the same name takes the same keys.
    const isNested = prefix.endsWith(`.${name}.`)
    return [key, ...(block === null || isNested ? [] : keysBelow(block, `${path}.`))]
  })
}

/** The object that a block, a repeatable block or a labelled block is made of; null for an attribute. */
function blockOf(schema: z.ZodType): z.ZodType | null {
  const { type, element, valueType } = definitionOf(schema)
  if (type === 'object') return schema
  const below = type === 'array' ? element : type === 'record' ? valueType : undefined
  if (below === undefined) return null
  const { schema: inner } = unwrapped(below)
  return definitionOf(inner).type === 'object' ? inner : null
}

/** A schema without what makes it optional, gives it a default or transforms its value. */
function unwrapped(schema: z.ZodType): { schema: z.ZodType; isRequired: boolean; fallback: unknown } {
  let inner = schema
  let isRequired = true
  let fallback: unknown
  for (;;) {
    const { type, innerType, in: input, defaultValue } = definitionOf(inner)
    if (type === 'optional' || type === 'default' || type === 'prefault' || type === 'nullable') {
      isRequired = false
      if (type === 'default') fallback = defaultValue
      if (innerType === undefined) break
      inner = innerType
    } else if (type === 'pipe' && input !== undefined) inner = input
    else break
  }
  return { schema: inner, isRequired, fallback }
}

function definitionOf(schema: z.ZodType): Definition {
  return schema._zod.def
}

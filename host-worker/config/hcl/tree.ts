import type { Position } from './diagnostic.ts'

/** The content of a file, in its order. */
export type Body = (Attribute | Block)[]

/** `name = value`. */
export interface Attribute {
  form: 'attribute'
  name: string
  at: Position
  value: Value
}

/** `name "label" { … }`. */
export interface Block {
  form: 'block'
  name: string
  at: Position
  labels: { text: string; at: Position }[]
  body: Body
}

/** A value, and where it begins. */
export type Value = { at: Position } & (
  | { kind: 'literal'; value: number | boolean | null }
  | { kind: 'text'; parts: TextPart[] }
  | { kind: 'list'; items: Value[] }
  | { kind: 'object'; fields: Field[] }
  /** Can't be used; `message` says why, and is null where a syntax error was reported already. */
  | { kind: 'broken'; message: string | null }
)

/** A piece of a string: literal text, or the inside of a `${…}`. */
export type TextPart = { literal: string } | { expression: string }

/** One key of an object. `name` is null when it is no plain name or text. */
export interface Field {
  name: string | null
  at: Position
  value: Value
}

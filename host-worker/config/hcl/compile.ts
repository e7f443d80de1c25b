import { keyText, type Path, type Position, type Problem, problem } from './diagnostic.ts'
import { type BlockForm, type Form, trailOf } from './form.ts'
import { NO_EXPRESSIONS } from './parse.ts'
import { suggest } from './suggest.ts'
import { escapeTemplate, isTemplateExpression } from './template.ts'
import type { Attribute, Block, Body, TextPart, Value } from './tree.ts'

/** A JSON value. */
type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** A file's content as plain JSON in its schema's shape, with what is needed to say where a mistake is. */
export interface Compiled {
  json: { [key: string]: Json }
  problems: Problem[]
  places: Places
}

/** Where `detectors.hcl` may interpolate. */
const INTERPOLATED = /^detectors\.detector\.(?:target\.|input$)/

/**
 * Turns a tree into JSON for a schema, by the form of its keys: a block that may be repeated becomes a list, a labelled
 * one an object by label. Reports what JSON can't show: unknown and duplicate keys, wrong forms, expressions.
 *
 * @param kind the name of the file's kind, with which the trails of its keys begin
 */
export function compile(body: Body, form: BlockForm, kind: string): Compiled {
  const problems: Problem[] = []
  const places = new Places()
  const context: Context = {
    places,
    report: (at, path, message, permitted) => problems.push(problem(at, path, message, permitted)),
    trail: (path) => trailOf(path, form, kind),
  }
  return { json: compileBody(context, body, form, []), problems, places }
}

/** The positions of the keys and values of a file, and which of them were reported already. */
export class Places {
  readonly #values = new Map<string, Position>()
  readonly #keys = new Map<string, Position>()
  readonly #settled = new Set<string>()
  readonly #excused = new Set<string>()

  add(path: Path, value: Position, key: Position = value): void {
    this.#values.set(keyText(path), value)
    this.#keys.set(keyText(path), key)
  }

  /** Marks a key as reported: nothing more is to be said of it. */
  settle(path: Path): void {
    this.#settled.add(keyText(path))
  }

  /** Marks a key as absent for a reason that was reported. */
  excuse(path: Path): void {
    this.#excused.add(keyText(path))
  }

  /** Whether the absence of a key was reported already, in whatever way. */
  isExcused(path: Path): boolean {
    return this.#excused.has(keyText(path)) || this.isSettled(path)
  }

  /** Whether a key, or what it belongs to, was reported already. */
  isSettled(path: Path): boolean {
    return path.some((_, index) => this.#settled.has(keyText(path.slice(0, index + 1))))
  }

  /** Where a value begins, or the block that ought to have it; the file's beginning if there is none. */
  value(path: Path): Position {
    return find(this.#values, path)
  }

  /** The position of a key or label. */
  key(path: Path): Position {
    return find(this.#keys, path)
  }
}

function find(places: ReadonlyMap<string, Position>, path: Path): Position {
  for (let length = path.length; length > 0; length -= 1) {
    const place = places.get(keyText(path.slice(0, length)))
    if (place !== undefined) return place
  }
  return { line: 1, column: 1 }
}

interface Context {
  places: Places
  report: (at: Position, path: Path, message: string, permitted?: readonly string[]) => void
  trail: (path: Path) => string
}

type JsonObject = { [key: string]: Json }

function compileBody(context: Context, body: Body, form: BlockForm, path: Path): JsonObject {
  const json: JsonObject = {}
  const seen = new Map<string, Position>()
  for (const item of body) {
    const here = [...path, item.name]
    const known = form.keys.get(item.name)
    if (known === undefined) reportUnknown(context, item, form, here)
    else if (item.form === 'block' && known.shape !== 'attribute') {
      compileBlock(context, item, known, here, json, seen.get(item.name))
    } else if (item.form === 'block' || known.shape !== 'attribute') reportForm(context, item, known, here)
    else if (seen.has(item.name)) context.report(item.at, here, `is set already, ${lineOf(seen.get(item.name))}`)
    else {
      context.places.add(here, item.value.at, item.at)
      json[item.name] = compileValue(context, item.value, here)
    }
    if (!seen.has(item.name)) seen.set(item.name, item.at)
  }
  return json
}

function compileBlock(
  context: Context,
  block: Block,
  form: BlockForm,
  path: Path,
  into: JsonObject,
  earlier: Position | undefined,
): void {
  const { name, labels } = block
  const [label] = labels
  const { places, report } = context
  if (earlier === undefined) places.add(path, block.at)
  if (form.shape === 'labelled') {
    into[name] ??= {}
    compileLabelled(context, block, form, path, into[name] as JsonObject)
    return
  }
  if (label !== undefined) report(label.at, path, `takes no label: ${name} { … }`)
  if (form.shape === 'repeated') {
    into[name] ??= []
    const list = into[name] as Json[]
    const here = [...path, list.length]
    places.add(here, block.at)
    list.push(compileBody(context, block.body, form, here))
  } else if (earlier === undefined) into[name] = compileBody(context, block.body, form, path)
  else report(block.at, path, `may appear only once; see ${lineOf(earlier)}`)
}

function compileLabelled(context: Context, block: Block, form: BlockForm, path: Path, into: JsonObject): void {
  const { places, report } = context
  const [label, second] = block.labels
  const here = [...path, label?.text ?? '']
  if (label === undefined || second !== undefined) {
    report(second?.at ?? block.at, path, `needs one label: ${block.name} "…" { … }`)
    places.excuse(path)
  } else if (label.text === '__proto__') report(label.at, here, 'is not a permitted name')
  else if (Object.hasOwn(into, label.text)) {
    report(label.at, here, `is defined already, ${lineOf(places.value(here))}`)
  } else {
    places.add(here, block.at, label.at)
    into[label.text] = compileBody(context, block.body, form, here)
  }
}

function compileValue(context: Context, value: Value, path: Path): Json {
  switch (value.kind) {
    case 'broken':
      if (value.message !== null) context.report(value.at, path, value.message)
      context.places.settle(path)
      return null
    case 'literal':
      return value.value
    case 'text':
      return compileText(context, value.parts, value.at, path)
    case 'list':
      return value.items.map((item, index) => {
        context.places.add([...path, index], item.at)
        return compileValue(context, item, [...path, index])
      })
    case 'object': {
      const json: JsonObject = {}
      for (const field of value.fields) {
        const here = [...path, field.name ?? '']
        if (field.name === null) context.report(field.at, path, 'a key must be a plain name or a quoted string')
        else if (field.name === '__proto__') context.report(field.at, here, 'is not a permitted name')
        else if (Object.hasOwn(json, field.name)) {
          context.report(field.at, here, `is set already, ${lineOf(context.places.key(here))}`)
        } else {
          context.places.add(here, field.value.at, field.at)
          json[field.name] = compileValue(context, field.value, here)
        }
      }
      return json
    }
  }
}

function compileText(context: Context, parts: TextPart[], at: Position, path: Path): Json {
  const interpolates = INTERPOLATED.test(context.trail(path))
  const texts = parts.map((part) => {
    if ('literal' in part) return interpolates ? escapeTemplate(part.literal) : part.literal
    return interpolates && isTemplateExpression(part.expression) ? `\${${part.expression}}` : part
  })
  const refused = texts.find((text) => typeof text !== 'string')
  if (refused === undefined) return texts.join('')
  const misplaced = context.trail([]) === 'detectors' && isTemplateExpression(refused.expression)
  context.report(at, path, misplaced ? 'only target and input of a detector are interpolated' : NO_EXPRESSIONS)
  context.places.settle(path)
  return null
}

function reportUnknown(context: Context, item: Attribute | Block, form: BlockForm, path: Path): void {
  const parent = path.slice(0, -1)
  const meant = suggest(item.name, form.keys.keys())
  context.report(item.at, path, `unknown key${meant === null ? '' : `; did you mean "${meant}"?`}`, [
    ...form.keys.keys(),
  ])
  // What the misspelt key should have been is not missing as well.
  if (meant !== null) context.places.excuse([...parent, meant])
}

function reportForm(context: Context, item: Attribute | Block, form: Form, path: Path): void {
  const label = form.shape === 'labelled' ? ' "…"' : ''
  const right = form.shape === 'attribute' ? `${item.name} = …` : `${item.name}${label} { … }`
  context.report(item.at, path, `must be ${form.shape === 'attribute' ? 'an attribute' : 'a block'}: ${right}`)
  context.places.excuse(path)
}

function lineOf(position: Position | undefined): string {
  return `line ${position?.line ?? 1}`
}

import { z } from 'zod'
import type { Path } from './diagnostic.ts'

/** How a key is written: `name = value`, or as a block with these keys, once, repeatedly, or per label. */
export type Form = { shape: 'attribute' } | BlockForm

/** The form of a block or of a whole file. */
export interface BlockForm {
  shape: 'single' | 'repeated' | 'labelled'
  keys: ReadonlyMap<string, Form>
}

/** The form of a file. */
export function fileForm(schema: z.ZodObject): BlockForm {
  const form = formOf(schema)
  return form.shape === 'attribute' ? { shape: 'single', keys: new Map() } : form
}

/** The name of a path in the schema, without indices and labels: `workflow.constraint.kind`. */
export function trailOf(path: Path, root: BlockForm, kind: string): string {
  const names = [kind]
  let form: Form | undefined = root
  for (let index = 0; index < path.length && form !== undefined && form.shape !== 'attribute'; index += 1) {
    const name = String(path[index])
    names.push(name)
    form = form.keys.get(name)
    // Then comes the index or label.
    if (form?.shape === 'repeated' || form?.shape === 'labelled') index += 1
  }
  return names.join('.')
}

/**
 * The form of what a schema describes, by the rule that the schemas keep: an object is a block, a list of objects a
 * block that may be repeated, a record of objects a labelled block; all else is an attribute.
 */
function formOf(schema: z.core.$ZodType): Form {
  const bare = unwrap(schema)
  const [shape, inner] =
    bare instanceof z.ZodArray
      ? (['repeated', unwrap(bare.element)] as const)
      : bare instanceof z.ZodRecord
        ? (['labelled', unwrap(bare.valueType)] as const)
        : (['single', bare] as const)
  if (!(inner instanceof z.ZodObject)) return { shape: 'attribute' }
  const keys = Object.entries<z.core.$ZodType>(inner.shape).map(([key, value]): [string, Form] => [key, formOf(value)])
  return { shape, keys: new Map(keys) }
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.unwrap())
  }
  return schema instanceof z.ZodPipe ? unwrap(schema.in) : schema
}

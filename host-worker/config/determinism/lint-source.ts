/** Finds what is not deterministic in the text of one file. */
import { analyze } from '@typescript-eslint/scope-manager'
import { type EcmaScriptModule, type Expression, type ParseResult, parseSync, Visitor } from 'oxc-parser'
import { DYNAMIC_IMPORT, ESCAPES, forbiddenGlobal, forbiddenModule, NEW_FUNCTION } from './rules.ts'

/** One mistake, at an offset into the text in UTF-16 units. */
export interface Finding {
  offset: number
  message: string
}

/** The findings in a file, and the modules it loads. */
export interface SourceReport {
  findings: Finding[]
  /** The specifiers of its imports that are more than types. */
  imports: string[]
}

/**
 * Judges a TypeScript or JavaScript file. Names count, not spellings: a parameter called `fetch` is the author's own, as
 * is a property. What can't be parsed is one finding.
 *
 * @param file its name, whose extension determines the language
 */
export function lintSource(file: string, text: string): SourceReport {
  const parsed = parseSync(file, text, { astType: 'ts', range: true, sourceType: 'module' })
  const [error] = parsed.errors
  if (error !== undefined) {
    return { findings: [{ offset: error.labels[0]?.start ?? 0, message: error.message }], imports: [] }
  }
  const nodes = interestingNodes(parsed.program)
  const imports = [...staticImports(parsed.module), ...nodes.imports]
  const findings = [
    ...imports.map(({ offset, specifier }) => ({ offset, message: forbiddenModule(specifier) })),
    ...parsed.module.dynamicImports.map(({ start }) => ({ offset: start, message: DYNAMIC_IMPORT })),
    ...nodes.escapes,
    ...globals(parsed.program, nodes),
  ].filter((finding): finding is Finding => finding.message !== null)
  return {
    findings: findings.sort((a, b) => a.offset - b.offset),
    imports: imports.map(({ specifier }) => specifier),
  }
}

type Program = ParseResult['program']
type Verdict = { offset: number; message: string | null }

interface Import {
  offset: number
  specifier: string
}

/** Imports and re-exports of values, or for what a module does when it is loaded. */
function staticImports({ staticImports, staticExports }: EcmaScriptModule): Import[] {
  const imported = staticImports
    .filter(({ entries }) => entries.length === 0 || entries.some(({ isType }) => !isType))
    .map(({ moduleRequest }) => ({ offset: moduleRequest.start, specifier: moduleRequest.value }))
  const passedOn = staticExports
    .flatMap(({ entries }) => entries)
    .flatMap(({ isType, moduleRequest }) =>
      isType || moduleRequest === null ? [] : [{ offset: moduleRequest.start, specifier: moduleRequest.value }],
    )
  // `export { a, b } from` has one entry for each name.
  const firsts = new Map(passedOn.map((found) => [found.offset, found]))
  return [...imported, ...firsts.values()]
}

/** Nodes whose names are judged by their context, by the offset of the name. */
interface Nodes {
  /** `import x = require('…')`. */
  imports: Import[]
  /** `typeof x` in a type: nothing is used when the workflow runs. */
  onlyTypes: Set<number>
  /** The right side of `x instanceof y`: it is only compared with. */
  compared: Set<number>
  /** `globalThis.x`, with `x`. */
  members: Map<number, string>
  /** `x.constructor` and its like, however it is written, and its name as a text. */
  escapes: Finding[]
}

function interestingNodes(program: Program): Nodes {
  const nodes: Nodes = { imports: [], onlyTypes: new Set(), compared: new Set(), members: new Map(), escapes: [] }
  const types = new Set<number>()
  const judge = (key: Expression, computed: boolean): void => {
    const message = ESCAPES.get(keyOf(key, computed) ?? '')
    if (message !== undefined && !types.has(key.start)) nodes.escapes.push({ offset: key.start, message })
  }
  const text = (node: Expression): void => judge(node, true)
  const visitor = new Visitor({
    BinaryExpression(node) {
      if (node.operator === 'instanceof') nodes.compared.add(node.right.start)
      else text(node)
    },
    Literal: text,
    TemplateLiteral: text,
    TSLiteralType({ literal }) {
      types.add(literal.start)
    },
    MemberExpression({ object, property, computed }) {
      if (!computed && property.type === 'Identifier') nodes.members.set(object.start, property.name)
      if (property.type === 'Literal') nodes.members.set(object.start, String(property.value))
      if (!computed) judge(property as Expression, false)
    },
    ObjectPattern({ properties }) {
      for (const property of properties) {
        if (property.type !== 'Property') continue
        const { key, computed } = property
        if (!computed) judge(key as Expression, false)
      }
    },
    TSTypeQuery({ exprName }) {
      // Where the first name of `a.b.c` begins: where all of it does.
      nodes.onlyTypes.add(exprName.start)
    },
    TSImportEqualsDeclaration({ importKind, moduleReference }) {
      if (importKind === 'type' || moduleReference.type !== 'TSExternalModuleReference') return
      const { start, value } = moduleReference.expression
      nodes.imports.push({ offset: start, specifier: value })
    },
  })
  visitor.visit(program)
  return nodes
}

/** The name of a property, as far as the text says it; null for one that is computed from anything but texts. */
function keyOf(key: Expression, computed: boolean): string | null {
  if (key.type === 'Identifier') return computed ? null : key.name
  if (key.type === 'Literal') return String(key.value)
  if (key.type === 'TemplateLiteral') {
    const within = key.expressions.map((expression) => keyOf(expression, true))
    if (within.includes(null)) return null
    return key.quasis.map(({ value }, index) => `${value.cooked ?? ''}${within[index] ?? ''}`).join('')
  }
  if (key.type !== 'BinaryExpression' || key.operator !== '+') return null
  const parts = [keyOf(key.left, true), keyOf(key.right, true)]
  return parts.includes(null) ? null : parts.join('')
}

/** The names that nothing in the file declares. */
function globals(program: Program, nodes: Nodes): Verdict[] {
  // Both follow typescript-eslint's tree.
  const tree = program as unknown as Parameters<typeof analyze>[0]
  const { globalScope } = analyze(tree, { sourceType: 'module', lib: [] })
  const undeclared = (globalScope?.through ?? []).filter(({ isValueReference }) => isValueReference)
  return undeclared.flatMap(({ identifier: { name, range } }) => {
    const [offset] = range
    if (nodes.onlyTypes.has(offset)) return []
    const member = name === 'globalThis' ? nodes.members.get(offset) : undefined
    if ((member ?? name) === 'Function' && !nodes.compared.has(offset)) return [{ offset, message: NEW_FUNCTION }]
    return [{ offset, message: forbiddenGlobal(String(member ?? name)) }]
  })
}

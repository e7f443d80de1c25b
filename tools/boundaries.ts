/**
 * Which part of the code may import which. Imports point downward only: a file may import from its own part and from the
 * parts below it in this table. A part is a folder with everything in it, or single files; the longest match counts.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseSync } from 'oxc-parser'

const ROOT = dirname(import.meta.dirname)

/** From the top down. Parts in one line are independent of each other. */
const LAYERS: readonly (readonly string[])[] = [
  // Tests and tools may import everything.
  ['test', 'vitest.config.ts'],
  ['packaging'],
  ['tools'],
  // Hosts: everything that runs under Node.
  ['host-worker/cli'],
  ['host-worker/dev'],
  ['host-worker/dev/sample', 'host-worker/doctor', 'host-worker/testing'],
  ['host-worker/coordinator', 'host-worker/worker', 'host-worker/detector'],
  ['host-worker/dev/temporal-cli'],
  ['host-worker/coordinator/front', 'host-worker/worker/activities', 'host-worker/detector/sources'],
  ['host-worker/worker/journal'],
  ['host-worker/worker/permits'],
  ['host-worker/certs', 'host-worker/config'],
  ['host-worker/config/determinism'],
  ['host-worker/config/hcl'],
  ['host-worker/net'],
  ['host-worker/process'],
  // Workflows: bundled by the worker, deterministic.
  ['workflows'],
  ['workflows/sdk'],
  // The edge: everything that runs in workerd.
  ['edge/worker.ts'],
  ['edge/app.ts'],
  ['edge/api'],
  ['edge/integrations'],
  [
    'edge/integrations/alertmanager',
    'edge/integrations/cloudevents',
    'edge/integrations/pagerduty',
    'edge/integrations/slack',
  ],
  ['edge/integrations/webhook'],
  ['edge/integrations/common'],
  ['edge/trigger'],
  ['edge/route.ts'],
  ['edge/context.ts'],
  ['edge/ledgers.ts', 'edge/access'],
  ['edge/http'],
  ['edge/global-ledger', 'edge/roster', 'edge/signals', 'edge/ledger'],
  ['edge/ledger/reconcile'],
  ['edge/ledger/outbox'],
  ['edge/ledger/admission'],
  ['edge/ledger/escalation'],
  ['edge/ledger/store'],
  ['edge/ledger/types.ts'],
  ['edge/notify', 'edge/permits', 'edge/temporal'],
  ['edge/config.ts', 'edge/migrate.ts', 'edge/version.ts'],
  // What both sides share: no Node, no Workers.
  ['shared'],
]

/** Files that belong to tests, wherever they are. */
const TEST_FILE = /\.test\.ts$|(?:^|\/)(?:testing|testdata)\/|\/test-support\.ts$/

const parts = LAYERS.flatMap((layer, level) => layer.map((part) => ({ part, level })))

/** An import that the table does not permit. */
export interface Violation {
  file: string
  line: number
  message: string
}

/** Checks every import of the project's own source files. */
export function checkBoundaries(root = ROOT): Violation[] {
  return sourceFiles(root)
    .filter((file) => !TEST_FILE.test(file))
    .flatMap((file) => [...withoutPart(file), ...violationsIn(root, file)])
}

/** Integrations are independent of each other, which only a part for each of them says. */
function withoutPart(file: string): Violation[] {
  const folder = /^edge\/integrations\/[^/]+(?=\/)/.exec(file)?.[0]
  if (folder === undefined || parts.some(({ part }) => part === folder)) return []
  return [{ file, line: 1, message: `${folder} needs a part of its own in tools/boundaries.ts` }]
}

function violationsIn(root: string, file: string): Violation[] {
  const from = partOf(file)
  if (from === null) return [{ file, line: 1, message: 'belongs to no part in tools/boundaries.ts' }]
  const text = readFileSync(join(root, file), 'utf8')
  return importsOf(file, text).flatMap(({ specifier, line }): Violation[] => {
    if (!specifier.startsWith('.')) return outsideShared(file, specifier, line)
    const target = relative(root, resolve(root, dirname(file), specifier))
    if (TEST_FILE.test(target) && !from.part.startsWith('test')) {
      return [{ file, line, message: `imports ${target}, which is for tests` }]
    }
    const to = partOf(target)
    if (to === null) return []
    if (to.part === from.part || to.level > from.level) return []
    return [{ file, line, message: `${from.part} must not import ${to.part} (${target})` }]
  })
}

/** `shared/` runs in Node and in workerd. */
function outsideShared(file: string, specifier: string, line: number): Violation[] {
  const isBound = specifier.startsWith('node:') || specifier.startsWith('cloudflare:')
  return file.startsWith('shared/') && isBound ? [{ file, line, message: `shared must not import ${specifier}` }] : []
}

function partOf(file: string): { part: string; level: number } | null {
  const found = parts.filter(({ part }) => file === part || file.startsWith(`${part}/`))
  return found.sort((a, b) => b.part.length - a.part.length)[0] ?? null
}

function importsOf(file: string, text: string): { specifier: string; line: number }[] {
  const { module } = parseSync(file, text)
  const found = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest),
    ...module.staticExports.flatMap(({ entries }) => entries.flatMap(({ moduleRequest }) => moduleRequest ?? [])),
  ]
  const dynamic = module.dynamicImports.map(({ moduleRequest: { start, end } }) => ({
    value: text.slice(start + 1, end - 1),
    start,
  }))
  return [...found, ...dynamic].map(({ value, start }) => ({
    specifier: value,
    line: text.slice(0, start).split('\n').length,
  }))
}

function sourceFiles(root: string): string[] {
  return ['edge', 'host-worker', 'shared', 'workflows', 'test', 'tools', 'packaging'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts') && !name.includes('node_modules'))
      .map((name) => `${folder}/${name}`),
  )
}

if (import.meta.main) {
  const violations = checkBoundaries()
  for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`)
  if (violations.length > 0) process.exitCode = 1
}

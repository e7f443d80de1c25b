/** Names in the documentation exist in the code: events, metrics, keys, fields, codes, options. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { COORDINATOR_METRICS } from '../../edge/api/metric-catalogue.ts'
import { PROBLEM_STATUSES } from '../../edge/http/problem.ts'
import { DETECTOR_METRICS } from '../../host-worker/detector/metrics.ts'
import { PROCESS_METRICS } from '../../host-worker/net/process-metrics.ts'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { WORKER_METRICS } from '../../host-worker/worker/metrics.ts'
import { coordinatorSchema } from '../../shared/config/coordinator.ts'
import { detectorsSchema } from '../../shared/config/detectors.ts'
import { workerSchema } from '../../shared/config/worker.ts'
import { workflowSchema } from '../../shared/config/workflow.ts'
import { COORDINATOR_EVENTS, DETECTOR_EVENTS, SHARED_EVENTS, WORKER_EVENTS } from '../../shared/events.ts'
import type { MetricDefinition } from '../../shared/metric.ts'
import { JWKS_PATH, PERMIT_REFUSALS } from '../../shared/permit.ts'
import * as wire from '../../shared/wire.ts'
import { verbs } from './cli-page.ts'
import { blocksOf, consoleCommands, inlineCode, pages, readPage } from './markdown.ts'
import { keysOf } from './schema-keys.ts'

const metrics: readonly MetricDefinition[] = [
  ...Object.values(COORDINATOR_METRICS),
  ...Object.values(DETECTOR_METRICS),
  ...Object.values(PROCESS_METRICS),
  ...Object.values(WORKER_METRICS),
]
const keys = [coordinatorSchema, detectorsSchema, workerSchema, workflowSchema].flatMap((schema) =>
  keysOf(schema).flatMap(({ path }) => path.split('.')),
)

/** Names with an underscore that belong to neither Resile's configuration nor its API, or only to inputs of a workflow. */
const OTHERS = [
  // PagerDuty, Alertmanager, Slack, Prometheus
  'dedup_key custom_details group_interval max_alerts send_resolved occurred_at incident_id',
  'incident_number service_id service_name event_type group_by',
  // Inputs, results and failures of the workflow library
  'dry_run serve_within drain_for healthy_for return_within verify_for wipe_params provision_params',
  'until_free_percent too_few_servers in_rotation host_unreachable execution_id',
  // Claims of permits
  'input_sha256 begin_by workflow_type',
  // The label of a schedule, directories, lists of the HTTP API
  'scheduled_at node_modules next_cursor',
].flatMap((names) => names.split(' '))

const known = new Set<string>([
  ...Object.keys({ ...COORDINATOR_EVENTS, ...DETECTOR_EVENTS, ...SHARED_EVENTS, ...WORKER_EVENTS }),
  ...metrics.map(({ name }) => name),
  ...keys,
  ...fieldsOf(Object.values(wire)),
  ...Object.keys(PROBLEM_STATUSES),
  ...wire.EXECUTION_STATUSES,
  ...wire.OUTCOMES,
  ...PERMIT_REFUSALS,
  ...OTHERS,
])

test('names: each one in the documentation exists in the code', () => {
  const unknown = pages().flatMap(({ path, text }) =>
    inlineCode(text).flatMap((code) =>
      snakeCase(code).flatMap((name) => (known.has(name) ? [] : [`${path}: ${name} in \`${code}\``])),
    ),
  )
  expect(unknown).toEqual([])
})

test('metrics: labels in the documentation are those of the code', () => {
  const wrong = pages().flatMap(({ path, text }) =>
    inlineCode(text).flatMap((code) => {
      const [, name, labels] = /^((?:resile|process)_\w+)\{([\w, ]+)\}$/.exec(code) ?? []
      if (name === undefined || labels === undefined) return []
      const metric = metrics.find((one) => one.name === name)
      return metric?.labelNames.join(',') === labels.replaceAll(' ', '') ? [] : [`${path}: ${code}`]
    }),
  )
  expect(wrong).toEqual([])
})

test('problem codes: each is in the HTTP reference with its status', () => {
  const { text } = readPage('docs/reference/http.md')
  const [, table = ''] = /^\| code \| status \| means \|\n(.*?)\n\n/ms.exec(text) ?? []
  const documented = [...table.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, code, status]) => `${code} ${status}`)
  const codes = Object.entries(PROBLEM_STATUSES).map(([code, status]) => `${code} ${status}`)
  expect(documented.sort(), 'the rows of `code | status` in docs/reference/http.md').toEqual(codes.sort())
})

test('routes: each is in the HTTP reference, and the reference has no other', () => {
  const { text } = readPage('docs/reference/http.md')
  const [, table = ''] = /^\| route \| does \|\n(.*?)\n\n/ms.exec(text) ?? []
  const documented = table.split('\n').flatMap(routesOfRow)
  const routes = edgeSource().flatMap((source) =>
    [...source.matchAll(/method: '(\w+)',\s+path: (?:'([^']+)'|JWKS_PATH)/g)].map(
      ([, method, path = JWKS_PATH]) => `${method} ${path.replaceAll(/:\w+/g, '{}')}`,
    ),
  )
  expect(documented.sort(), 'the rows of `route | does` in docs/reference/http.md').toEqual(routes.sort())
})

/** `GET /a`, `/a/{id}` is two routes; a path without a method has that of the one before, and its beginning. */
function routesOfRow(row: string): string[] {
  const [, cell = ''] = row.split('|')
  let method = ''
  let before = ''
  return inlineCode(cell).map((code) => {
    const [, given, path = ''] = /^(?:([A-Z]+) )?(\/.*)$/.exec(code) ?? []
    method = given ?? method
    const whole = path.startsWith('/v1/') || before === '' ? path : before.replace(/\/[^/]*$/, path)
    before = whole
    return `${method} ${whole.replaceAll(/\{\w+\}/g, '{}')}`
  })
}

function edgeSource(): string[] {
  const files = readdirSync(join(PACKAGE_ROOT, 'edge'), { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(PACKAGE_ROOT, 'edge', file), 'utf8'))
}

/** Options of npm scripts, and of other programs that the documentation names. */
const OTHER_OPTIONS = [
  '--only',
  '--strict',
  '--project',
  '--rounds',
  '--seed',
  '--datacenters',
  '--json',
  '--no-contrast',
  '--short',
  '--check',
  // npm run package
  '--maintainer',
]
const PROGRAM_OPTIONS = [...OTHER_OPTIONS, '--ignore-scripts', '--unit', '--version', '--sample', '--help']

test('options: each one in prose is an option of a command', () => {
  const options = new Set([...verbs().flatMap(optionsOf), ...PROGRAM_OPTIONS])
  const unknown = pages().flatMap(({ path, text }) =>
    inlineCode(text).flatMap((code) =>
      code.startsWith('curl ')
        ? []
        : [...code.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].flatMap(([option]) =>
            options.has(option) ? [] : [`${path}: ${option} in \`${code}\``],
          ),
    ),
  )
  expect(unknown).toEqual([])
})

test('options: each one after a resile command is an option of that command', () => {
  const unknown = pages().flatMap((page) =>
    commandLines(page.text, page.path).flatMap((line) =>
      resileCalls(line).flatMap(({ words, options }) => {
        const verb = verbs().find(({ words: known }) => known.every((word, index) => words[index] === word))
        if (verb === undefined) return [`${page.path}: no command in: ${line}`]
        const has = optionsOf(verb)
        return options.filter((option) => !has.includes(option)).map((option) => `${page.path}: ${option} in: ${line}`)
      }),
    ),
  )
  expect(unknown).toEqual([])
})

test('the reader of options: an unknown option → it is found', () => {
  expect(resileCalls('npx resile freeze --raeson "a --b" --for 2h')).toEqual([
    { words: ['freeze', '2h'], options: ['--raeson', '--for'] },
  ])
})

function optionsOf({ command }: ReturnType<typeof verbs>[number]): string[] {
  return [...command.options.flatMap(({ long }) => (long === undefined ? [] : [long])), '--help']
}

/** Lines of console blocks, inline code and indented synopses that call `resile`. */
function commandLines(text: string, path: string): string[] {
  const consoles = blocksOf({ path, text }).filter(({ language }) => language === 'console')
  const commands = consoles.flatMap((block) => consoleCommands(block.text).map(({ command }) => command))
  const inline = inlineCode(text).filter((code) => /^(?:npx )?resile (?!ready)[a-z]/.test(code))
  const synopses = [...text.matchAll(/^ {4,}(resile [a-z].*(?:\n {8,}\S.*)*)/gm)].map(([, line = '']) => line)
  return [...commands, ...inline, ...synopses.filter((line) => !/^resile (?:ready|:)/.test(line))]
}

/** The calls of the command in a shell line, without what is quoted. */
function resileCalls(line: string): { words: string[]; options: string[] }[] {
  const plain = line.replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '').replaceAll('\\\n', ' ')
  return [...plain.matchAll(/(?:^|[\s;&|])(?:npx )?resile ([a-z][^|&;>]*)/g)].map(([, rest = '']) => {
    const parts = rest.split(/[\s[\]]+/)
    const options = parts.filter((part) => /^--[a-z]/.test(part)).map((part) => part.replace(/=.*/, ''))
    return { words: parts.filter((part) => /^[a-z0-9]/.test(part)), options }
  })
}

/** Names such as `clock_skew` in a piece of code: whole words in lower case with an underscore. */
function snakeCase(code: string): string[] {
  if (/[/=(]|\b[A-Z]/.test(code) && !/^\w+( = .*)?$/.test(code)) return []
  return [...code.matchAll(/(?<![\w.$/-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w./-])/g)].map(([name]) => name)
}

/** All names of fields in schemas, wherever they are nested. */
function fieldsOf(values: readonly unknown[]): string[] {
  return values.flatMap((value) => {
    if (!(value instanceof z.ZodType)) return []
    const text = JSON.stringify(z.toJSONSchema(value, { unrepresentable: 'any', io: 'input' }))
    return [...text.matchAll(/"([a-z_0-9]+)":/g)].map(([, name = '']) => name)
  })
}

/** Doubts about a detector in view of everything that it refers to. */
import { RE2JS } from 're2js'
import type { DetectorConfig, WorkflowConfig } from '../../shared/config.ts'
import { checkFields, convertTexts, isObject, NO_SUCH_INPUT } from '../../shared/input.ts'
import { isFixed, labelsIn } from '../../shared/interpolate.ts'
import type { Places } from './hcl/compile.ts'
import { type Diagnostic, type Path, problem } from './hcl/diagnostic.ts'
import { didYouMean } from './hcl/suggest.ts'

/** What a project has that detectors can refer to. */
export interface ProjectFacts {
  /** Null where coordinator.hcl is missing or has mistakes. */
  datacenters: readonly string[] | null
  /** The commands of worker.hcl; null without one: then they are those of other hosts. */
  commands: readonly string[] | null
  workflow: WorkflowConfig
}

/** A detector that would fire, and whose trigger would be refused, or would do nothing. */
export function linkedWarnings(
  name: string,
  detector: DetectorConfig,
  { datacenters, commands, workflow }: ProjectFacts,
  file: string,
  places: Places,
): Diagnostic[] {
  const warn = (path: Path, message: string, permitted: readonly string[] = []): Diagnostic => {
    const at = ['detector', name, ...path]
    return { file, ...problem(places.value(at), at, message, [...permitted]) }
  }
  const warnings: Diagnostic[] = []
  const input = detector.input ?? {}
  for (const { path, message } of mistakesIn(workflow, input)) {
    warnings.push(warn(['input', ...path], `${message}: ${detector.workflow} would refuse it`))
  }
  const { datacenter } = detector.target ?? {}
  if (datacenters !== null && datacenter !== undefined && isFixed(datacenter) && !datacenters.includes(datacenter)) {
    const hint = didYouMean(datacenter, datacenters)
    warnings.push(warn(['target', 'datacenter'], `no such datacenter${hint}`, datacenters))
  }
  const { query } = detector.prometheus ?? {}
  if (query !== undefined && ALWAYS_FIRES.test(query)) {
    const message =
      'each series that a query returns fires, whatever its value: compare without bool, and not with scalar()'
    warnings.push(warn(['prometheus', 'query'], message))
  }
  const labels = labelsOf(detector)
  if (labels !== null) {
    for (const label of labelsIn([detector.target, input])) {
      if (labels.includes(label)) continue
      const message = `labels.${label} is never there: ${labels.length === 0 ? 'this source has no labels' : `it has ${labels.join(', ')}`}`
      warnings.push(warn([detector.input === undefined ? 'target' : 'input'], message))
    }
  }
  for (const [path, command] of commandsIn(input)) {
    if (commands === null || command === 'systemd' || commands.includes(command)) continue
    warnings.push(warn(['input', ...path], `worker.hcl has no command ${command}${didYouMean(command, commands)}`))
  }
  return warnings
}

/** A comparison that returns 0 instead of nothing, or a scalar, which is there whatever it is. */
const ALWAYS_FIRES = /(?:[<>]=?|[=!]=)\s*bool\b|^\s*scalar\s*\(/

/** What a workflow would refuse of an input, whatever its placeholders stand for. */
function mistakesIn(workflow: WorkflowConfig, input: Record<string, unknown>): { path: string[]; message: string }[] {
  if (workflow.input === undefined) return []
  const { mistakes } = checkFields(workflow.input, convertTexts(workflow.input, input))
  return mistakes.filter(({ path, message }) => {
    const value = path.reduce<unknown>((found, key) => (isObject(found) ? found[key] : undefined), input)
    return message === NO_SUCH_INPUT || typeof value !== 'string' || isFixed(value)
  })
}

/** The labels that a source's signals can have; null when anything may be among them. */
function labelsOf({ log, journal, http_check, tcp_check, command_check, schedule }: DetectorConfig): string[] | null {
  const source = log ?? journal
  if (source !== undefined) return Object.keys(RE2JS.compile(source.pattern).namedGroups())
  if (schedule !== undefined) return ['scheduled_at']
  return http_check !== undefined || tcp_check !== undefined || command_check !== undefined ? [] : null
}

/** Commands that the input of restart-service and its like names, with what is tried next. */
function commandsIn(input: Record<string, unknown>, path: string[] = []): [string[], string][] {
  const { command, next } = input
  const own: [string[], string][] =
    typeof command === 'string' && isFixed(command) ? [[[...path, 'command'], command]] : []
  return isObject(next) ? [...own, ...commandsIn(next, [...path, 'next'])] : own
}

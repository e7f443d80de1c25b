/** Doubts about the commands of worker.hcl: who may run each, and what its parameters let through. */
import { RE2JS } from 're2js'
import type { CommandConfig } from '../../shared/config.ts'
import { usesOf, type WorkerFile } from './command-uses.ts'
import { type Diagnostic, type Path, problem } from './hcl/diagnostic.ts'
import { didYouMean } from './hcl/suggest.ts'

/** A doubt; `path` is relative to the command's block. */
interface Doubt {
  path: Path
  message: string
  permitted?: readonly string[]
}

/** What programs take for options: a pattern that lets one of them through was not written with options in mind. */
const OPTIONS = [
  ...['force', 'file=x', 'config=/x', 'x', ''].map((option) => `--${option}`),
  ...['a', 'A', '0', '.', '_', '/'].flatMap((text) =>
    Array.from({ length: 33 }, (_, times) => `-${text.repeat(times)}`),
  ),
]

/**
 * Commands that nobody can run or that are bound to unknown workflows, and parameters that choose the program or may be
 * taken for its options.
 *
 * @param workflows names of the project's workflows; none: it isn't known which there are
 */
export function commandWarnings({ file, content, places }: WorkerFile, workflows: readonly string[]): Diagnostic[] {
  if (content === null) return []
  const used = new Set(usesOf(content.output).map((use) => use.command))
  const { command: commands, systemd } = content.output
  const ofCommands = Object.entries(commands).flatMap(([name, command]) =>
    [
      ...unbound(command, used.has(name), workflows),
      ...unknown(command.workflows, workflows),
      ...openParams(command),
    ].map((doubt) => ({ ...doubt, path: ['command', name, ...doubt.path] })),
  )
  // The default isn't written anywhere, and fits the library.
  const named = systemd?.workflows.filter((name) => name !== 'restart-service')
  const ofSystemd = unknown(named, workflows).map((doubt) => ({ ...doubt, path: ['systemd', ...doubt.path] }))
  return [...ofCommands, ...ofSystemd].map(({ path, message, permitted }) => {
    const place = path.length === 2 ? places.key(path) : places.value(path)
    return { file, ...problem(place, path, message, permitted) }
  })
}

function unbound(command: CommandConfig, isUsed: boolean, workflows: readonly string[]): Doubt[] {
  if (command.read_only || (command.workflows?.length ?? 0) > 0) return []
  // The block that names it says what it is for.
  if (command.workflows === undefined && isUsed) return []
  const message = 'changes the host and names no workflow, so nothing can run it: add workflows = ["NAME"]'
  return [{ path: [], message, permitted: workflows }]
}

function unknown(names: readonly string[] | undefined, workflows: readonly string[]): Doubt[] {
  if (workflows.length === 0) return []
  return (names ?? []).flatMap((name, index) => {
    if (workflows.includes(name)) return []
    const message = `no such workflow${didYouMean(name, workflows)}`
    return [{ path: ['workflows', index], message, permitted: workflows }]
  })
}

function openParams({ argv, params, allow_options }: CommandConfig): Doubt[] {
  const program = /\{[A-Za-z0-9_]+\}/.test(argv[0] ?? '')
    ? [
        {
          path: ['argv', 0],
          message: 'a parameter chooses the program: name it here, in a separate command for each program',
        },
      ]
    : []
  if (allow_options) return program
  const admitting = Object.entries(params).flatMap(([name, pattern]) => {
    const regex = RE2JS.compile(pattern)
    const option = OPTIONS.find((text) => regex.matcher(text).matches())
    if (option === undefined) return []
    const message =
      `lets ${JSON.stringify(option)} through, which is refused as an option: begin the pattern with another character, ` +
      'or set allow_options = true'
    return [{ path: ['params', name], message }]
  })
  return [...program, ...admitting]
}

/** docs/reference/cli.md, from the definition of the command. */
import type { EventEmitter } from 'node:events'
import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { program } from '../../host-worker/cli/program.ts'
import { escaped, GENERATED, wrap } from './text.ts'

/** A subcommand and the words that call it. */
export interface Verb {
  readonly words: readonly string[]
  readonly command: CommandUnknownOpts
}

/** All subcommands that do something, in the order of the help. */
export function verbs(): Verb[] {
  return verbsOf(program(), [])
}

function verbsOf(command: CommandUnknownOpts, words: readonly string[]): Verb[] {
  const below = command.commands.filter((child) => child.name() !== 'help')
  if (below.length === 0) return [{ words, command }]
  return below.flatMap((child) => verbsOf(child, [...words, child.name()]))
}

export function commandPage(): string {
  const root = program()
  const all = verbsOf(root, [])
  const client = clientOptions(all)
  return [
    GENERATED,
    '',
    '# The resile command',
    '',
    wrap(`${root.description()} In a clone of Resile, run it as \`npx resile\`.`),
    '',
    wrap(helpAfter(root)),
    '',
    wrap(
      'Exit code 3 stands for the HTTP statuses 423 and 429. With `--json` a command prints the body of the HTTP answer unchanged to standard output. Diagnostics go to standard ' +
        'error. Commands that call a coordinator find it by `--coordinator`, then `$RESILE_COORDINATOR`, then the unix socket ' +
        'of the `resile dev` or `resile coordinator` of the project. For an `https://` coordinator, `--ca`, `--cert` and ' +
        '`--key` (or `$RESILE_CA`, `$RESILE_CERT`, `$RESILE_KEY`) name PEM files.',
    ),
    '',
    '## Client options',
    '',
    'Commands that call a coordinator all have these options.',
    '',
    ...client,
    ...all.flatMap((verb) => section(verb, client)),
    '',
  ].join('\n')
}

/** The options that most commands share: those of all that call a coordinator. */
function clientOptions(all: readonly Verb[]): string[] {
  const items = all.flatMap(({ command }) => command.options.map(item))
  const counts = new Map<string, number>()
  for (const one of items) counts.set(one, (counts.get(one) ?? 0) + 1)
  return [...counts].flatMap(([one, count]) => (count > all.length / 3 ? [one] : []))
}

function section({ words, command }: Verb, client: readonly string[]): string[] {
  const name = `resile ${words.join(' ')}`
  const after = helpAfter(command)
  const items = command.options.filter(({ hidden }) => !hidden).map(item)
  const isClient = client.every((one) => items.includes(one))
  return [
    '',
    `## ${name}`,
    '',
    wrap(`${sentence(command.description())}`),
    '',
    `    ${name}${usageOf(command)}`,
    '',
    ...(isClient ? items.filter((one) => !client.includes(one)) : items),
    ...(isClient ? ['- and the [client options](#client-options)'] : []),
    ...(after === '' ? [] : ['', ...after.split('\n').map((line) => wrap(line))]),
  ]
}

function usageOf(command: CommandUnknownOpts): string {
  const words = command.registeredArguments.map((argument) => {
    const name = argument.name() + (argument.variadic ? '...' : '')
    return argument.required ? ` <${name}>` : ` [${name}]`
  })
  return `${words.join('')} [options]`
}

function item(option: Option): string {
  const facts = [
    ...(option.mandatory ? ['required'] : []),
    ...(option.argChoices === undefined ? [] : [`one of ${option.argChoices.join(', ')}`]),
    ...(isShown(option.defaultValue) ? [`default: \`${String(option.defaultValue)}\``] : []),
  ]
  const more = facts.length === 0 ? '' : ` (${facts.join('; ')})`
  return wrap(`- \`${option.flags}\`: ${escaped(option.description)}${more}`, '  ')
}

/** Whether a default says more than that the option was not given. */
function isShown(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number'
}

/** What a command adds to its help. */
export function helpAfter(command: CommandUnknownOpts): string {
  let text = ''
  const write = (more: string): void => {
    text += more
  }
  const events = command as unknown as EventEmitter
  events.emit('afterHelp', { error: false, command, write })
  return text.trim()
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`
}

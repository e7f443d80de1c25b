/**
 * resile(1), from the definition of the command.
 *
 * @see man-pages(7), groff_man(7)
 */
import type { Option } from '@commander-js/extra-typings'
import { helpAfter, type Verb, verbs } from '../../tools/docs/cli-page.ts'

/** @param at the date on the page, in seconds since the epoch */
export function manPage(version: string, description: string, at: number): string {
  const date = new Date(at * 1000).toISOString().slice(0, 10)
  return [
    `.TH RESILE 1 "${date}" "Resile ${version}" "Resile"`,
    '.SH NAME',
    'resile \\- automatic remediation for server fleets',
    '.SH SYNOPSIS',
    '.B resile',
    '.I command',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    roff(description),
    '.SH COMMANDS',
    ...verbs().flatMap(section),
    '.SH EXIT STATUS',
    '0 ok, 1 failed, 2 usage, 3 denied, 4 coordinator unreachable, 130 interrupted.',
    '.SH FILES',
    '.TP',
    '.I /etc/resile',
    'The project: coordinator.hcl, worker.hcl, detectors.hcl and workflows/.',
    '.TP',
    '.I /var/lib/resile-coordinator, /var/lib/resile-worker, /var/lib/resile-detector',
    'What each role keeps.',
    '',
  ].join('\n')
}

function section({ words, command }: Verb): string[] {
  const argumentsText = command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`))
  const after = helpAfter(command)
  return [
    `.SS "${roff(['resile', ...words, ...argumentsText].join(' '))}"`,
    roff(command.description()),
    ...command.options.filter(({ hidden }) => !hidden).flatMap(item),
    ...(after === '' ? [] : ['.PP', ...after.split('\n').map(roff)]),
  ]
}

function item({ flags, description }: Option): string[] {
  return ['.TP', `.B "${roff(flags)}"`, roff(description)]
}

/** Text in which nothing is a request or an escape. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('"', '\\(dq')
  return escaped.replaceAll(/^(?=[.'])/gm, '\\&')
}

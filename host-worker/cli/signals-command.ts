/** The command that shows how effective remediation is for each signal. */
import { type Command, Option } from '@commander-js/extra-typings'
import type { SignalSummary } from '../../shared/wire.ts'
import { call, clientVerb, queryOf, report } from './client.ts'
import { signalTable } from './tables.ts'

const SPANS = ['1d', '7d', '30d'] as const

/** Adds `signals`. */
export function addSignalsCommand(root: Command): void {
  clientVerb(root, 'signals', 'effectiveness of each signal: fired, admitted, denied, helped, flapped')
    .addOption(new Option('--over <span>', 'the period to analyse').choices(SPANS).default('7d' as const))
    .option('--name <name>', 'only of this detector')
    .option('--source <source>', 'only of this source, such as prometheus or alertmanager')
    .option('--workflow <name>', 'only of this workflow')
    .action(async (options) => {
      const answer = await call(options, 'GET', `/v1/signals${queryOf(options, ['name', 'source', 'workflow'])}`)
      report(options, answer, (body) => signalTable(body as { items: SignalSummary[] }, options.over))
    })
}

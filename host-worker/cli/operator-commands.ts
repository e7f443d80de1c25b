/** Commands of operators: freezes, approvals, settlements and resets. */
import { type Command, Option } from '@commander-js/extra-typings'
import type { Rejection } from '../../shared/rejection.ts'
import { type Execution, type Freeze, SETTLED_STATUSES } from '../../shared/wire.ts'
import { call, clientVerb, queryOf, report } from './client.ts'
import { executionDetails, freezeDetails, freezeTable, rejectionTable } from './tables.ts'

/** Adds `freeze`, `freezes`, `rejections`, `unfreeze`, `approve`, `reject`, `settle` and `reset`. */
export function addOperatorCommands(root: Command): void {
  clientVerb(
    root,
    'freeze',
    'stop admissions of what the options name, until the freeze is lifted; without options, all admissions',
  )
    .requiredOption('--reason <text>', 'why, for those whose triggers it denies')
    .option('--workflow <name>', 'only this workflow')
    .option('--node <name>', 'only on this node')
    .option('--datacenter <name>', 'only in this datacenter')
    .addOption(new Option('--for <duration>', 'how long the freeze lasts, such as 90m').conflicts('expiresAt'))
    .option('--expires-at <time>', 'until this time (RFC 3339)')
    .action(async (options) => {
      const { workflow, node, datacenter, reason, for: duration, expiresAt } = options
      const scope = {
        ...(workflow === undefined ? {} : { workflow }),
        ...(datacenter === undefined ? {} : { datacenter }),
        ...(node === undefined ? {} : { node }),
      }
      const body = {
        scope,
        reason,
        ...(duration === undefined ? {} : { for: duration }),
        ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
      }
      report(options, await call(options, 'POST', '/v1/freezes', { body }), (freeze) => freezeDetails(freeze as Freeze))
    })

  clientVerb(root, 'freezes', 'list the freezes that hold, newest first')
    .option('--limit <count>', 'how many, 1 to 500', '50')
    .option('--cursor <cursor>', 'continue after this cursor, next_cursor of the previous page')
    .action(async (options) => {
      const answer = await call(options, 'GET', `/v1/freezes${queryOf(options, ['limit', 'cursor'])}`)
      report(options, answer, (body) => freezeTable(body as { items: Freeze[] }))
    })

  clientVerb(root, 'rejections', 'list callers whose attempts the coordinator has rejected since it started').action(
    async (options) => {
      report(options, await call(options, 'GET', '/v1/rejections'), (body) =>
        rejectionTable(body as { items: Rejection[] }),
      )
    },
  )

  clientVerb(root, 'unfreeze <id>', 'lift a freeze; executions that it held back are started').action(
    async (id, options) => {
      const answer = await call(options, 'DELETE', `/v1/freezes/${encodeURIComponent(id)}`)
      report(options, answer, () => `lifted ${id}`)
    },
  )

  clientVerb(root, 'approve <id>', 'admit an execution that awaits approval, if its constraints allow it now')
    .option('--reason <text>', 'why, for the record')
    .action(async (id, options) => {
      const answer = await call(options, 'POST', `/v1/executions/${encodeURIComponent(id)}/approve`, {
        body: options.reason === undefined ? {} : { reason: options.reason },
      })
      report(options, answer, (body) => executionDetails((body as { execution: Execution }).execution))
    })

  clientVerb(root, 'reject <id>', 'reject an execution that awaits approval: it never starts')
    .option('--reason <text>', 'why, for the record')
    .action(async (id, options) => {
      const answer = await call(options, 'POST', `/v1/executions/${encodeURIComponent(id)}/reject`, {
        body: options.reason === undefined ? {} : { reason: options.reason },
      })
      report(options, answer, (body) => executionDetails(body as Execution))
    })

  clientVerb(
    root,
    'settle <id>',
    'say how a lost execution ended, which Temporal no longer knows; until then it counts',
  )
    .addOption(new Option('--status <status>', 'how it ended').choices(SETTLED_STATUSES).makeOptionMandatory())
    .requiredOption('--reason <text>', 'how that is known, for the record')
    .action(async (id, options) => {
      const { status, reason } = options
      const path = `/v1/executions/${encodeURIComponent(id)}/settle`
      const answer = await call(options, 'POST', path, { body: { status, reason } })
      report(options, answer, (body) => executionDetails(body as Execution))
    })

  clientVerb(root, 'reset <workflow>', 'clear a tripped maxFailure, once its cause is known')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--node <name>', 'only what is counted for this node')
    .action(async (workflow, options) => {
      const { reason, node } = options
      const path = `/v1/workflows/${encodeURIComponent(workflow)}/reset`
      const answer = await call(options, 'POST', path, { body: { reason, ...(node === undefined ? {} : { node }) } })
      report(options, answer, () => `reset ${workflow}${node === undefined ? '' : ` on ${node}`}`)
    })
}

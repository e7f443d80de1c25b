/** The verbs that talk to a coordinator. */
import { type Command, Option } from '@commander-js/extra-typings'
import { type Decision, type Execution, OUTCOMES } from '../../shared/wire.ts'
import { CommandError, EXIT, usage } from '../process/exit-codes.ts'
import { type ClientOptions, call, clientVerb, queryOf, report } from './client.ts'
import { exitCodeOf, followExecution } from './follow.ts'
import { decisionDetails, decisionTable, executionDetails, executionTable, nodeTable } from './tables.ts'

/** Adds `trigger`, `executions`, `decisions`, `nodes` and `cancel`. */
export function addClientCommands(root: Command): void {
  clientVerb(root, 'trigger <workflow>', 'start a workflow, if its constraints allow it now')
    .option('--node <name>', 'the node it is for')
    .option('--node-type <type>', 'the node type it is for')
    .option('--datacenter <name>', 'the datacenter it is for')
    .option('--input <json>', 'its input, a JSON object', jsonObject)
    .option('--reason <text>', 'why, for the record')
    .option('--idempotency-key <key>', 'sending the same trigger again with this key starts nothing twice')
    .option('--wait', 'follow the execution to its end; Ctrl-C leaves it running', false)
    .action(async (workflow, options) => {
      const { node, nodeType, datacenter } = options
      const target = {
        ...(node === undefined ? {} : { node }),
        ...(nodeType === undefined ? {} : { node_type: nodeType }),
        ...(datacenter === undefined ? {} : { datacenter }),
      }
      const answer = await call(options, 'POST', `/v1/workflows/${encodeURIComponent(workflow)}/executions`, {
        body: {
          ...(Object.keys(target).length === 0 ? {} : { target }),
          ...(options.input === undefined ? {} : { input: options.input }),
          ...(options.reason === undefined ? {} : { reason: options.reason }),
        },
        headers: {
          ...(options.idempotencyKey === undefined ? {} : { 'idempotency-key': options.idempotencyKey }),
          // A caller that follows it needs its id at once, not its start.
          ...(options.wait ? { prefer: 'wait=0' } : {}),
        },
      })
      const admitted = answer.status < 300
      if (!options.wait || !admitted) {
        report(options, answer, (body) => executionDetails((body as { execution: Execution }).execution))
        return
      }
      await follow(options, (answer.json as { execution: Execution }).execution)
    })

  clientVerb(root, 'executions [id]', 'list executions, newest first, or show one with its receipt')
    .option('--workflow <name>', 'only of this workflow')
    .option('--node <name>', 'only on this node')
    .option('--datacenter <name>', 'only in this datacenter')
    .option('--status <status>', 'only with this status')
    .option('--limit <count>', 'how many, 1 to 500', '50')
    .option('--cursor <cursor>', 'continue after this cursor, next_cursor of the previous page')
    .option('--wait', 'follow the one to its end; Ctrl-C leaves it running', false)
    .action(async (id, options) => {
      if (id === undefined && options.wait) throw usage('--wait goes with the id of an execution')
      if (id === undefined) {
        const query = queryOf(options, ['workflow', 'node', 'datacenter', 'status', 'limit', 'cursor'])
        report(options, await call(options, 'GET', `/v1/executions${query}`), (body) =>
          executionTable(body as { items: Execution[] }),
        )
        return
      }
      const execution = await call(options, 'GET', `/v1/executions/${encodeURIComponent(id)}`)
      if (options.wait && execution.status === 200) {
        await follow(options, execution.json as Execution)
        return
      }
      if (options.json || execution.status !== 200) return report(options, execution, () => '')
      const decision = await call(options, 'GET', `/v1/decisions/${encodeURIComponent(id)}`)
      report(
        options,
        execution,
        (body) =>
          `${executionDetails(body as Execution)}\n${decision.status === 200 ? decisionDetails(decision.json as Decision) : ''}`,
      )
    })

  clientVerb(root, 'decisions [id]', 'list decisions, newest first, or show one with its receipt')
    .option('--workflow <name>', 'only of this workflow')
    .option('--node <name>', 'only for this node')
    .addOption(new Option('--outcome <outcome>', 'only with this outcome').choices(OUTCOMES))
    .option('--code <code>', 'only denied with this code')
    .option('--caller <caller>', 'only by this caller')
    .option('--since <time>', 'only from this time on (RFC 3339)')
    .option('--limit <count>', 'how many, 1 to 500', '50')
    .option('--cursor <cursor>', 'continue after this cursor, next_cursor of the previous page')
    .action(async (id, options) => {
      const query = queryOf(options, ['workflow', 'node', 'outcome', 'code', 'caller', 'since', 'limit', 'cursor'])
      const path = id === undefined ? `/v1/decisions${query}` : `/v1/decisions/${encodeURIComponent(id)}`
      const show =
        id === undefined
          ? (body: unknown) => decisionTable(body as { items: Decision[] })
          : (body: unknown) => decisionDetails(body as Decision)
      report(options, await call(options, 'GET', path), show)
    })

  clientVerb(root, 'nodes', 'list live nodes, by name')
    .option('--limit <count>', 'how many, 1 to 500', '500')
    .option('--cursor <cursor>', 'continue after this cursor, next_cursor of the previous page')
    .action(async (options) => {
      report(options, await call(options, 'GET', `/v1/nodes${queryOf(options, ['limit', 'cursor'])}`), nodeTable)
    })

  clientVerb(root, 'cancel <id>', 'cancel an execution; a pending one never starts')
    .option('--reason <text>', 'why, for the record')
    .action(async (id, options) => {
      const answer = await call(options, 'POST', `/v1/executions/${encodeURIComponent(id)}/cancel`, {
        body: options.reason === undefined ? {} : { reason: options.reason },
      })
      report(options, answer, (body) => executionDetails(body as Execution))
    })
}

function jsonObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = null
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new CommandError(`--input must be a JSON object, not ${text}`, EXIT.usage)
}

/** Follows an execution, prints how it ended, and sets the exit code that belongs to it. */
async function follow(options: ClientOptions, execution: Execution): Promise<void> {
  const ended = await followExecution(options, execution)
  report(options, ended, (body) => executionDetails(body as Execution))
  if (ended.status === 200) process.exitCode = exitCodeOf(ended.json as Execution)
}

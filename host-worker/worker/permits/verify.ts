/** Whether a permit permits a change on this host. */
import { compactVerify, decodeProtectedHeader, errors, importJWK } from 'jose'
import {
  digestPayloads,
  PERMIT_ALGORITHM,
  PERMIT_TYPE,
  type Permit,
  type PublicKey,
  permitSchema,
} from '../../../shared/permit.ts'
import { PermitRefused } from './refused.ts'
import type { RunRecord } from './run-record.ts'

/** The host as permits name it. */
export interface PermitHost {
  namespace: string
  datacenter: string
  node: string
  types: readonly string[]
}

/**
 * The name of the key that a permit says it is signed with.
 *
 * @throws PermitRefused `bad_signature` when it is no permit at all
 */
export function keyIdOf(token: string): string {
  try {
    const { kid, typ, alg } = decodeProtectedHeader(token)
    if (typ === PERMIT_TYPE && alg === PERMIT_ALGORITHM && typeof kid === 'string') return kid
  } catch {
    // Said below.
  }
  throw new PermitRefused('bad_signature', 'the permit is not a token of a coordinator')
}

/**
 * Checks the signature of a permit and reads it.
 *
 * @throws PermitRefused `bad_signature`
 */
export async function readPermit(token: string, key: PublicKey): Promise<Permit> {
  try {
    const { payload } = await compactVerify(token, await importJWK(key, PERMIT_ALGORITHM), {
      algorithms: [PERMIT_ALGORITHM],
    })
    return permitSchema.parse(JSON.parse(new TextDecoder().decode(payload)))
  } catch (error) {
    const why = error instanceof errors.JOSEError ? 'its signature is wrong' : 'its content is not that of a permit'
    throw new PermitRefused('bad_signature', `the permit is not to be trusted: ${why}`)
  }
}

/**
 * Checks that a permit holds now and on this host.
 *
 * @param now milliseconds since the epoch
 * @param subject the node that is changed from here; this host when there is none. A permit for another node permits
 *   what is done to that one alone, wherever it is done
 * @throws PermitRefused `expired`, `wrong_node`, `wrong_workflow` (of another namespace)
 */
export function checkPlace(permit: Permit, host: PermitHost, now: number, subject?: string): void {
  if (now >= permit.exp * 1000) {
    throw new PermitRefused('expired', `the permit expired at ${new Date(permit.exp * 1000).toISOString()}`)
  }
  if (permit.datacenter !== host.datacenter || !isTarget(permit.target, host, subject)) {
    const where = `${Object.values(permit.target).join()} in ${permit.datacenter}`
    const what = subject === undefined || subject === host.node ? '' : `, and ${subject} is to be changed`
    const here = `this is ${host.node} in ${host.datacenter}`
    throw new PermitRefused('wrong_node', `the permit is for ${where}; ${here}${what}`)
  }
  if (permit.namespace !== host.namespace) {
    throw new PermitRefused('wrong_workflow', `the permit is for a workflow in namespace ${permit.namespace}`)
  }
}

/** A command of worker.hcl, and the workflows that it is bound to there; without them, every workflow may run it. */
export interface CommandBinding {
  name: string
  workflows?: readonly string[] | undefined
}

/**
 * Checks that worker.hcl lets the workflow of a permit run a command.
 *
 * @throws PermitRefused `wrong_command`
 */
export function checkCommand({ workflow }: Permit, { name, workflows }: CommandBinding): void {
  if (workflows === undefined || workflows.includes(workflow)) return
  const others = workflows.length === 0 ? 'no workflow' : workflows.join(', ')
  throw new PermitRefused(
    'wrong_command',
    `the permit is for ${workflow}, and worker.hcl binds command ${name} to ${others}; to allow it, add ` +
      `${JSON.stringify(workflow)} to the command's workflows`,
  )
}

/**
 * Checks that a permit belongs to the execution that uses it, by what Temporal recorded of its start.
 *
 * @throws PermitRefused `wrong_workflow`, `expired` (begun too late), `input_mismatch`
 */
export async function checkExecution(permit: Permit, record: RunRecord): Promise<void> {
  const { workflowId, workflowType } = record
  if (permit.sub !== workflowId || permit.workflow_type !== workflowType) {
    const own = `${workflowType} ${workflowId}`
    throw new PermitRefused('wrong_workflow', `the permit is for ${permit.workflow_type} ${permit.sub}, not for ${own}`)
  }
  if (permit.task_queue !== undefined && permit.task_queue !== record.taskQueue) {
    throw new PermitRefused(
      'wrong_workflow',
      `the permit is for a start on the task queue ${permit.task_queue}; the execution was started on ${record.taskQueue}`,
    )
  }
  if (!record.isOpen) {
    throw new PermitRefused(
      'wrong_workflow',
      `${permit.workflow_type} ${permit.sub} has ended; only what it left behind runs`,
    )
  }
  if (record.startedAt > permit.begin_by * 1000) {
    const by = new Date(permit.begin_by * 1000).toISOString()
    throw new PermitRefused('expired', `the permit had to be used by ${by}; the execution began later`)
  }
  if ((await digestPayloads(record.input)) !== permit.input_sha256) {
    throw new PermitRefused('input_mismatch', 'the execution was started with another input than was permitted')
  }
}

function isTarget(target: Permit['target'], host: PermitHost, subject = host.node): boolean {
  if ('node' in target) return target.node === subject
  // What is permitted for all hosts of a kind is permitted to each for itself.
  if (subject !== host.node) return false
  if ('node_type' in target) return host.types.includes(target.node_type)
  return target.datacenter === host.datacenter
}

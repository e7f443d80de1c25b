/** A host changes nothing without a permit that it has verified: with real Temporal, real workers, and Temporal's own CLI. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { importJWK, SignJWT } from 'jose'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { generatePermitKey, type PrivatePermitKey, publicKeys } from '../../host-worker/certs/permit-keys.ts'
import { findTemporalCli } from '../../host-worker/dev/temporal-cli/cli.ts'
import { digestPayloads, PERMIT_TYPE } from '../../shared/permit.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { commanding, temporaryDirectory, workflow, writeProject } from '../support/files.ts'
import type { Execution } from '../support/http.ts'
import { resetPast } from '../support/past.ts'
import { type Payload, readPayload, writePayload } from '../support/temporal.ts'
import { until } from '../support/until.ts'

const onNode = 'task_queue_target = "node"'
const touch = { name: 'touch', params: { file: 'touched' } }
const run = "const { runCommand } = proxyActivities({ startToCloseTimeout: '30s', retry: { maximumAttempts: 1 } })"

/** The published keys of another coordinator, which the workers trust too. */
const keysFile = join(temporaryDirectory(), 'jwks.json')

const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    permits { jwks_files = ["${keysFile}"] }
    command "touch" {
      argv   = ["/bin/touch", "{file}"]
      workflows = ["command", "other-command", "brief", "anywhere", "descend", "leave-behind", "roll"]
      params = { file = "^[a-z]+$" }
    }
    command "look" {
      argv      = ["/bin/ls"]
      read_only = true
    }`,
  ...commanding('command', onNode),
  ...commanding('other-command', onNode),
  ...commanding('brief', `${onNode}\nvalid_for = "5s"\ntimeout = "5s"`),
  ...commanding('anywhere', 'task_queue_target = "datacenter"'),
  ...workflow(
    'descend',
    onNode,
    `import { executeChild } from '@temporalio/workflow'
    export async function descend(input) { return executeChild('command', { args: [input] }) }`,
  ),
  ...workflow(
    'leave-behind',
    onNode,
    `import { ParentClosePolicy, startChild } from '@temporalio/workflow'
    export async function leaveBehind(input) {
      const { workflowId } = await startChild('late', { args: [input], parentClosePolicy: ParentClosePolicy.ABANDON })
      return workflowId
    }`,
  ),
  ...workflow(
    'late',
    onNode,
    `${run}
    export async function late(input) {
      await sleep(3000)
      return runCommand(input)
    }`,
  ),
  ...workflow(
    'roll',
    onNode,
    `${run}
    export async function roll(input, run) {
      if (!input.rolled) await continueAsNew({ ...input, rolled: true }, run)
      return runCommand(input.command)
    }`,
  ),
})
const touched = join(project, 'touched')

/** What the workflows of {@link commanding} return of an activity that failed. */
interface Refused {
  type: string
  final: boolean
}

let dev: Dev
let cli: string
let trusted: PrivatePermitKey
let count = 0
beforeAll(async () => {
  trusted = await generatePermitKey()
  writeFileSync(keysFile, JSON.stringify(publicKeys({ keys: [trusted] })))
  cli = (await findTemporalCli({ log: () => undefined })).path
  dev = await startDev({ project, nodes: ['web-1', 'web-2'] })
})
beforeEach(() => rmSync(touched, { force: true }))

/** The counts of refusals of a node's worker. */
async function refusals(node: string): Promise<Record<string, number>> {
  const text = await (await fetch(dev.file.metrics[node] ?? '')).text()
  const lines = text.matchAll(/^resile_permit_refused_total\{reason="(\w+)"\} (\d+)$/gm)
  return Object.fromEntries([...lines].map(([, reason = '', value]): [string, number] => [reason, Number(value)]))
}

/** The header that the coordinator sent with an execution. */
async function headerOf(execution: Execution): Promise<Record<string, Payload>> {
  const [first] = await dev.temporal.history(execution.workflow_id)
  return first?.workflowExecutionStartedEventAttributes?.header?.fields ?? {}
}

/** What an execution was started with. */
async function inputOf(execution: Execution): Promise<unknown[]> {
  const [first] = await dev.temporal.history(execution.workflow_id)
  return (first?.workflowExecutionStartedEventAttributes?.input?.payloads ?? []).map(readPayload)
}

/** A header with something else in it. */
function altered(header: Record<string, Payload>, change: object): Record<string, Payload> {
  const { resile } = header
  if (resile === undefined) throw new Error('there is no header of ours')
  return { ...header, resile: writePayload({ ...(readPayload(resile) as object), ...change }) }
}

/** Changes one byte in the middle part of a token: what it says. */
function forged(header: Record<string, Payload>): Record<string, Payload> {
  const { permit } = readPayload(header['resile'] ?? { data: '' }) as { permit: string }
  const [head = '', body = '', signature = ''] = permit.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object
  const said = Buffer.from(JSON.stringify({ ...claims, target: { node: 'web-2' } })).toString('base64url')
  return altered(header, { task_queue: 'dc1:node:web-2', permit: [head, said, signature].join('.') })
}

/** Starts a workflow without the coordinator, and returns what became of its command. */
async function attack(attempt: {
  header?: Record<string, Payload>
  input?: readonly unknown[]
  workflowId?: string
  type?: string
  taskQueue?: string
}): Promise<Refused> {
  count += 1
  const { workflowId = `attack-${count}`, type = 'command', taskQueue = 'dc1', header, input = [touch] } = attempt
  const before = (await dev.temporal.describe(workflowId))?.runId
  await dev.temporal.start({ workflowId, type, taskQueue, timeout: 30, input, ...(header ? { header } : {}) })
  const ended = async () => {
    const now = await dev.temporal.describe(workflowId)
    return now !== undefined && now.runId !== before && now.status === 'COMPLETED'
  }
  await until(`${workflowId} has ended`, ended)
  const events = await dev.temporal.history(workflowId)
  const payload = events.at(-1)?.workflowExecutionCompletedEventAttributes?.result?.payloads?.[0]
  return readPayload(payload ?? writePayload(null)) as Refused
}

const refused: Refused = { type: 'PermitRefused', final: true }
const input = { input: touch, target: { node: 'web-1' } }

describe('admitted execution', () => {
  test.each([
    ['a workflow', 'command', touch],
    ['its children', 'descend', touch],
    ['what continues it', 'roll', { command: touch }],
  ])('%s → may change its host', async (_, name, given) => {
    await dev.ran(name, { input: given, target: { node: 'web-1' } })
    expect(existsSync(touched)).toBe(true)
  })

  test('reset → goes on', async () => {
    const { workflow_id } = await dev.ran('command', { input: touch, target: { node: 'web-1' } })
    rmSync(touched, { force: true })
    await resetPast(dev, workflow_id)
    await until('the command has run again', () => existsSync(touched))
  })

  test('target is the datacenter → may change the host that it runs on', async () => {
    await dev.ran('anywhere', { input: touch })
    expect(existsSync(touched)).toBe(true)
  })

  test('JWKS → published without private parts', async () => {
    const { body, headers } = await dev.call<{ keys: object[] }>('/.well-known/jwks.json')
    expect(headers.get('content-type')).toContain('application/jwk-set+json')
    expect(body.keys).toEqual([expect.objectContaining({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' })])
    expect(JSON.stringify(body)).not.toContain('"d"')
  })
})

describe('workflow started without the coordinator', () => {
  test("by Temporal's own command → refused, nothing changed", async () => {
    const what = ['--type', 'command', '--workflow-id', 'by-hand', '--input', JSON.stringify(touch)]
    const where = [
      '--address',
      dev.at('temporal'),
      '--namespace',
      dev.at('namespace'),
      '--task-queue',
      'dc1',
      '--execution-timeout',
      '30s',
    ]
    const { stdout } = await promisify(execFile)(cli, ['workflow', 'execute', ...what, ...where])
    expect(stdout).toContain('PermitRefused')
    expect(existsSync(touched)).toBe(false)
  })

  test("on the datacenter's queue → refused, no permit", async () => {
    const before = await refusals('web-1')
    const before2 = await refusals('web-2')
    expect(await attack({})).toEqual(refused)
    const [after, after2] = [await refusals('web-1'), await refusals('web-2')]
    expect((after['missing'] ?? 0) + (after2['missing'] ?? 0)).toBe(
      (before['missing'] ?? 0) + (before2['missing'] ?? 0) + 1,
    )
    expect(existsSync(touched)).toBe(false)
  })

  test('read-only command → allowed', async () => {
    expect(await attack({ input: [{ name: 'look' }] })).toMatchObject({ exitCode: 0 })
  })
})

describe('permit of an admitted execution, reused', () => {
  let execution: Execution
  let header: Record<string, Payload>
  let args: unknown[]
  beforeAll(async () => {
    execution = await dev.ran('command', input)
    header = await headerOf(execution)
    args = await inputOf(execution)
  })

  test.each<[string, string, string, () => Parameters<typeof attack>[0]]>([
    ['on another node', 'web-2', 'wrong_node', () => ({ header: altered(header, { task_queue: 'dc1:node:web-2' }) })],
    ['for another execution', 'web-1', 'wrong_workflow', () => ({ header, input: args })],
    [
      'for another workflow under its id',
      'web-1',
      'wrong_workflow',
      () => ({ header, input: args, workflowId: execution.workflow_id, type: 'otherCommand' }),
    ],
    [
      'with an altered input under its id',
      'web-1',
      'input_mismatch',
      () => ({ header, input: [{ ...touch, params: { file: 'other' } }, args[1]], workflowId: execution.workflow_id }),
    ],
    [
      'for the same once more',
      'web-1',
      'wrong_workflow',
      () => ({ header, input: args, workflowId: execution.workflow_id }),
    ],
    ['altered for another node', 'web-2', 'bad_signature', () => ({ header: forged(header) })],
    [
      'that is no token',
      'web-1',
      'bad_signature',
      () => ({ header: altered(header, { permit: 'eyJhbGciOiJub25lIn0.e30.' }) }),
    ],
  ])('%s → refused', async (_, node, reason, attempt) => {
    const before = await refusals(node)
    expect(await attack(attempt())).toEqual(refused)
    expect(await refusals(node)).toEqual({ ...before, [reason]: (before[reason] ?? 0) + 1 })
    expect(existsSync(touched)).toBe(false)
    expect(dev.process.said.stderr + dev.process.said.stdout).not.toContain('unexpected')
  })
})

describe('permit of another coordinator', () => {
  /** Admits an execution with a key, as another coordinator would, and tells what became of it. */
  async function admittedBy(key: PrivatePermitKey): Promise<Refused> {
    const workflowId = randomUUID()
    const now = Date.now() / 1000
    const permit = {
      sub: workflowId,
      iat: now,
      begin_by: now + 60,
      exp: now + 120,
      namespace: dev.at('namespace'),
      workflow: 'command',
      workflow_type: 'command',
      datacenter: 'dc1',
      target: { node: 'web-1' },
      input_sha256: await digestPayloads([writePayload(touch)]),
    }
    const signed = await new SignJWT(permit)
      .setProtectedHeader({ alg: 'EdDSA', typ: PERMIT_TYPE, kid: key.kid })
      .sign(await importJWK(key, 'EdDSA'))
    return attack({ workflowId, header: { resile: writePayload({ task_queue: 'dc1:node:web-1', permit: signed }) } })
  }

  test('key trusted by the worker → accepted', async () => {
    expect(await admittedBy(trusted)).toMatchObject({ exitCode: 0 })
    expect(existsSync(touched)).toBe(true)
  })

  test('key not trusted → refused', async () => {
    const before = await refusals('web-1')
    expect(await admittedBy(await generatePermitKey())).toEqual(refused)
    expect(await refusals('web-1')).toEqual({ ...before, bad_signature: (before['bad_signature'] ?? 0) + 1 })
    expect(existsSync(touched)).toBe(false)
  })
})

test("permit: activity left over after the execution's end → refused, nothing changed", async () => {
  const { result } = await dev.ran('leave-behind', input)
  const child = String(result)
  await until('the child has failed', async () => (await dev.temporal.describe(child))?.status === 'FAILED')
  expect(JSON.stringify((await dev.temporal.history(child)).at(-1))).toContain('PermitRefused')
  expect(existsSync(touched)).toBe(false)
})

test('permit: expired → refused', async () => {
  const execution = await dev.ran('brief', input)
  const header = await headerOf(execution)
  rmSync(touched, { force: true })
  // Begun in time or not, it ends ten seconds after its admission.
  await until('the permit has expired', () => Date.now() > Date.parse(execution.admitted_at) + 10_100)
  const before = await refusals('web-1')
  const again = { header: altered(header, { begin_by: '2100-01-01T00:00:00Z' }), type: 'brief' }
  expect(await attack({ ...again, workflowId: execution.workflow_id, input: await inputOf(execution) })).toEqual(
    refused,
  )
  expect(await refusals('web-1')).toEqual({ ...before, expired: (before['expired'] ?? 0) + 1 })
  expect(existsSync(touched)).toBe(false)
})

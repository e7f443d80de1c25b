import { ApplicationFailure, defaultPayloadConverter } from '@temporalio/common'
import type { MockActivityEnvironment } from '@temporalio/testing'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { CompactSign, importJWK } from 'jose'
import { expect, it } from 'vitest'
import { encodePayloads } from '../../../shared/payload.ts'
import { digestPayloads, PERMIT_TYPE } from '../../../shared/permit.ts'
import { generatePermitKey } from '../../certs/permit-keys.ts'
import { activityEnvironment } from '../testing/activity-environment.ts'
import { ChangeDeferred, type FirstChange } from './clearance.ts'
import { keepHeaders, type PermitGate, type PermitGateOptions, permitGate } from './gate.ts'

const HOST = { namespace: 'default', datacenter: 'dc1', node: 'lb-1', types: ['lb'] }

/** Asks a gate from within an activity of execution `e1`, admitted for `web-1`. */
async function ask(
  bind: () => boolean,
  check: (gate: PermitGate) => Promise<unknown>,
  clearance: Partial<Pick<PermitGateOptions, 'hasChanged' | 'clear'>> = {},
): Promise<unknown> {
  const { kty, crv, kid, x, d } = await generatePermitKey()
  const input = encodePayloads([{}]).payloads ?? []
  const now = Date.now() / 1000
  const claims = {
    sub: 'e1',
    iat: now,
    begin_by: now + 600,
    exp: now + 4200,
    namespace: 'default',
    workflow: 'drain-node',
    workflow_type: 'drainNode',
    datacenter: 'dc1',
    target: { node: 'web-1' },
    input_sha256: await digestPayloads(input),
  }
  const permit = await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'EdDSA', typ: PERMIT_TYPE, kid })
    .sign(await importJWK({ kty, crv, kid, x, d }, 'EdDSA'))
  const gate = permitGate({
    host: HOST,
    keys: { find: async () => ({ kty, crv, kid, x }) },
    readRun: async ({ workflowId }) => ({
      workflowId,
      firstRunId: 'r1',
      runId: 'r1',
      workflowType: 'drainNode',
      taskQueue: 'dc1',
      startedAt: Date.now(),
      input,
      isOpen: true,
    }),
    onRefused: () => undefined,
    bind,
    hasChanged: () => false,
    clear: async () => undefined,
    ...clearance,
  })
  const environment = activityEnvironment({ workflowExecution: { workflowId: 'e1', runId: 'r1' } })
  const headers = { resile: defaultPayloadConverter.toPayload({ permit }) }
  return environment.run(() => intercepted(keepHeaders, environment, headers, () => check(gate)))
}

function intercepted(
  factory: ActivityInterceptorsFactory,
  { context }: MockActivityEnvironment,
  headers: object,
  work: () => Promise<unknown>,
): Promise<unknown> {
  const { inbound } = factory(context)
  const next = (): Promise<unknown> => work()
  return inbound?.execute?.({ args: [], headers: headers as never }, next) ?? work()
}

it("permit gate: change of the permit's node → permitted, wherever it is made", async () => {
  expect(
    await ask(
      () => true,
      (gate) => gate.check({ subject: 'web-1' }),
    ),
  ).toMatchObject({ execution: 'e1' })
})

it.each([[undefined], ['lb-1'], ['web-2']])('permits nothing to another: %s', async (subject) => {
  await expect(
    ask(
      () => true,
      (gate) => gate.check(subject === undefined ? {} : { subject }),
    ),
  ).rejects.toMatchObject({
    type: 'PermitRefused',
    details: [{ reason: 'wrong_node' }],
  })
})

/** Asks for the permit of a command of drain-node. */
const askFor = (workflows: string[] | undefined): Promise<unknown> =>
  ask(
    () => true,
    (gate) => gate.check({ subject: 'web-1', binding: { name: 'wipe', workflows } }),
  )

it.each([
  ['bound to its workflow', ['reboot-node', 'drain-node']],
  ['bound to none, since a block of worker.hcl names it', undefined],
])('permit gate: command %s → permitted', async (_, workflows) => {
  await expect(askFor(workflows)).resolves.toMatchObject({ execution: 'e1' })
})

it.each([
  ['another workflow', ['reboot-node']],
  // A workflow's type is chosen by who writes its code, its name by the operator.
  ["what is only its workflow's type", ['drainNode']],
])('permit gate: command bound to %s → refused, and the line to add is named', async (_, workflows) => {
  await expect(askFor(workflows)).rejects.toMatchObject({
    type: 'PermitRefused',
    details: [{ reason: 'wrong_command' }],
    message: expect.stringContaining('add "drain-node" to the command\'s workflows') as string,
  })
})

it('permit gate: journal unavailable → told from an invalid permit', async () => {
  const bind = (): never => {
    throw ApplicationFailure.nonRetryable('full', 'JournalUnavailable')
  }
  await expect(ask(bind, (gate) => gate.check({ subject: 'web-1' }))).rejects.toMatchObject({
    type: 'JournalUnavailable',
    nonRetryable: true,
  })
})

it('permit gate: node may not be changed now → retried by Temporal, nothing bound', async () => {
  let bound = 0
  const asked = ask(
    () => {
      bound += 1
      return true
    },
    (gate) => gate.check({ subject: 'web-1' }),
    { clear: () => Promise.reject(new ChangeDeferred('HostFrozen', 'web-1 is frozen')) },
  )
  await expect(asked).rejects.toMatchObject({ type: 'HostFrozen', nonRetryable: false })
  expect(bound).toBe(0)
})

it('permit gate: several changes of a node → asked before the first', async () => {
  const changes: FirstChange[] = []
  const twice = async (gate: PermitGate): Promise<void> => {
    await gate.check({ subject: 'web-1' })
    await gate.check({ subject: 'web-1' })
  }
  const clear = async (change: FirstChange): Promise<void> => void changes.push(change)
  await ask(() => true, twice, { clear, hasChanged: () => true })
  expect(changes).toMatchObject([{ execution: 'e1', node: 'web-1', workflow: 'drain-node', firstRunId: 'r1' }])
})

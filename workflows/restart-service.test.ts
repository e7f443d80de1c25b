import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PACKAGE_ROOT } from '../host-worker/process/package-root.ts'
import {
  type PlayedHost,
  type RigOutcome,
  startWorkflowRig,
  type WorkflowRig,
} from '../host-worker/testing/workflow-rig.ts'
import type { Input } from './restart-service.ts'
import type { CheckResult, CommandResult, Diagnostics } from './sdk/index.ts'
import { replayAndRecord } from './testing/recorded-histories.ts'

const HEALTHY: CheckResult = { ok: true, status: 200, durationMs: 1 }
const SICK: CheckResult = { ok: false, status: 500, durationMs: 1, error: 'status 500, expected 200' }
const DIAGNOSTICS = { node: 'web-1', load: [9, 9, 9] } as Partial<Diagnostics> as Diagnostics

let rig: WorkflowRig
beforeAll(async () => {
  rig = await startWorkflowRig([{ type: 'restartService', code: join(PACKAGE_ROOT, 'workflows/restart-service.ts') }])
}, 120_000)
afterAll(() => rig?.close())

/** How each command ends, by name or for all, and what each check in turn finds (the last one again and again). */
interface Host {
  command: Partial<CommandResult> | 'cut off' | ((name: string) => Partial<CommandResult>)
  checks: CheckResult[]
}

async function restart(host: Host, input: Partial<Input> = {}): Promise<RigOutcome & { did: string[] }> {
  const checks = [...host.checks]
  const played: PlayedHost = {
    async runCommand({ name }) {
      if (host.command === 'cut off') throw ApplicationFailure.nonRetryable('cut off', 'OutcomeUnknown')
      const outcome = typeof host.command === 'function' ? host.command(name) : host.command
      return { exitCode: 0, stdout: '', stderr: '', durationMs: 5, ...outcome }
    },
    describeCommand: async ({ name }) => ({ name, argv: ['echo', name], timeoutMs: 1000, readOnly: false }),
    checkHttp: async () => (checks.length > 1 ? checks.shift() : checks[0]) ?? SICK,
    collectDiagnostics: async () => DIAGNOSTICS,
  }
  const outcome = await rig.run({
    type: 'restartService',
    input: { command: 'restart', check: { url: 'http://web-1/' }, verify_for: '3s', healthy_for: '1ms', ...input },
    host: played,
  })
  const did = outcome.calls.map(({ activity, request }) => {
    const { name } = (request ?? {}) as { name?: string }
    return name === undefined ? activity : `${activity} ${name}`
  })
  return { ...outcome, did }
}

describe('restart-service', () => {
  it('restart helps → done', async () => {
    const { result, did, calls, history } = await restart(
      { command: {}, checks: [SICK, SICK, HEALTHY] },
      { params: { unit: 'nginx' } },
    )
    expect(result).toMatchObject({ healthy: true, checks: 3, command: { exitCode: 0 }, before: SICK, after: HEALTHY })
    expect(did).toEqual(['checkHttp', 'runCommand restart', 'checkHttp', 'checkHttp', 'checkHttp'])
    expect(calls[1]?.request).toEqual({ name: 'restart', params: { unit: 'nginx' } })
    await replayAndRecord(rig, 'restart-service', history)
  })

  it('restart does not help → fails with reason and diagnostics', async () => {
    const { error, did } = await restart({ command: {}, checks: [SICK] })
    expect(error).toMatchObject({
      type: 'NotHealthy',
      message: expect.stringContaining('3s after restart: status 500'),
      details: { check: SICK, before: SICK, command: { exitCode: 0 }, diagnostics: DIAGNOSTICS },
    })
    expect(did.at(-1)).toBe('collectDiagnostics')
  })

  it('restart fails → no wait', async () => {
    const { error, did } = await restart({ command: { exitCode: 3, stderr: 'no such unit' }, checks: [HEALTHY] })
    expect(error).toMatchObject({ type: 'CommandFailed', message: 'restart exited with 3' })
    expect(error?.details).toMatchObject({ command: { stderr: 'no such unit' } })
    expect(did).toEqual(['checkHttp', 'runCommand restart', 'collectDiagnostics'])
  })

  it('command cut off → the check decides', async () => {
    const { result, did } = await restart({ command: 'cut off', checks: [SICK, HEALTHY] })
    expect(result).toMatchObject({ healthy: true, command: null, attempts: [{ exit_codes: [null], healthy: true }] })
    expect(did).toEqual(['checkHttp', 'runCommand restart', 'checkHttp', 'checkHttp'])
  })

  it('first step does not help → next step', async () => {
    const { result, did } = await restart(
      { command: (name) => (name === 'reload' ? { exitCode: 1 } : {}), checks: [SICK, SICK, SICK, SICK, HEALTHY] },
      { command: 'reload', next: { command: 'restart', next: { command: 'reinstall' } } },
    )
    expect(did.filter((call) => call.startsWith('run'))).toEqual([
      'runCommand reload',
      'runCommand restart',
      'runCommand reinstall',
    ])
    expect(result).toMatchObject({
      attempts: [
        { level: 'reload', exit_codes: [1], healthy: false },
        { level: 'restart', exit_codes: [0], healthy: false },
        { level: 'reinstall', exit_codes: [0], healthy: true },
      ],
    })
  })

  it('systemd unit → reload, restart, then stop, kill and start', async () => {
    const { error, did, calls } = await restart(
      { command: (name) => (name === 'systemd-start' ? {} : { exitCode: 1 }), checks: [SICK] },
      { command: 'systemd', params: { unit: 'nginx.service' } },
    )
    const verbs = ['reload', 'reset-failed', 'restart', 'stop', 'kill', 'reset-failed', 'start', 'status', 'journal']
    expect(did.filter((call) => call.startsWith('run'))).toEqual(verbs.map((verb) => `runCommand systemd-${verb}`))
    expect(calls[1]?.request).toEqual({ name: 'systemd-reload', params: { unit: 'nginx.service' } })
    expect(error).toMatchObject({ type: 'NotHealthy', message: expect.stringContaining('after stop-kill-start') })
    expect(error?.details).toMatchObject({ unit: { status: '', journal: '' } })
  })

  it('crashes in a loop, so that it answers now and then → not healthy', async () => {
    const flapping = Array.from({ length: 60 }, (_, index) => (index % 3 === 1 ? HEALTHY : SICK))
    const { error } = await restart({ command: {}, checks: flapping }, { healthy_for: '3s' })
    expect(error).toMatchObject({ type: 'NotHealthy' })
  })

  it('host that knows no reset-failed yet → restarted all the same', async () => {
    const { result } = await restart(
      {
        command: (name) => {
          if (name !== 'systemd-reset-failed') return {}
          throw ApplicationFailure.nonRetryable('unknown', 'CommandNotAllowed')
        },
        checks: [SICK, HEALTHY],
      },
      { command: 'systemd', params: { unit: 'nginx.service' }, from: 'restart' },
    )
    expect(result).toMatchObject({ healthy: true, attempts: [{ level: 'restart', exit_codes: [0] }] })
  })

  it('first step configured → begins there', async () => {
    const { did } = await restart(
      { command: {}, checks: [SICK, HEALTHY] },
      { command: 'systemd', params: { unit: 'nginx.service' }, from: 'restart' },
    )
    const commands = ['runCommand systemd-reset-failed', 'runCommand systemd-restart']
    expect(did).toEqual(['checkHttp', ...commands, 'checkHttp', 'checkHttp'])
  })

  it('dry run → says what it would do', async () => {
    const { result, did } = await restart({ command: {}, checks: [SICK] }, { dry_run: true })
    expect(result).toMatchObject({ dry_run: true, before: SICK, would_run: [{ argv: ['echo', 'restart'] }] })
    expect(did).toEqual(['checkHttp', 'describeCommand restart'])
  })

  it('endless steps → refused', async () => {
    let next: Input['next']
    for (let level = 0; level < 8; level++) next = { command: 'again', ...(next === undefined ? {} : { next }) }
    const { error, did } = await restart({ command: {}, checks: [SICK] }, next === undefined ? {} : { next })
    expect(error).toMatchObject({ type: 'InvalidInput', message: expect.stringContaining('at most 8') })
    expect(did).toEqual([])
  })

  it('invalid verify_for → refused', async () => {
    const { error, did } = await restart({ command: {}, checks: [HEALTHY] }, { verify_for: 'soon' })
    expect(error).toMatchObject({ type: 'InvalidInput' })
    expect(did).toEqual([])
  })
})

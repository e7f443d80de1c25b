import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Context } from '@temporalio/activity'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import type { MockActivityEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommandConfig } from '../../../shared/config.ts'
import type { CommandResult } from '../../../workflows/sdk/activities.ts'
import { Journal } from '../journal/journal.ts'
import type { ChangeScope, PermittedChange } from '../permits/gate.ts'
import { activityEnvironment } from '../testing/activity-environment.ts'
import { command } from '../testing/change-host.ts'
import { type CommandHost, runCommandActivity } from './run-command.ts'

let directory: string
let journal: Journal
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-command-'))
  journal = new Journal(join(directory, '.journal'))
})
afterAll(async () => {
  journal.close()
  await rm(directory, { recursive: true })
})

/** Permits everything, and tells how often it was asked. */
const permits = {
  asked: 0,
  refuses: false,
  scopes: [] as (ChangeScope | undefined)[],
  async check(scope?: ChangeScope): Promise<PermittedChange> {
    this.asked += 1
    this.scopes.push(scope)
    if (this.refuses) throw ApplicationFailure.nonRetryable('no', 'PermitRefused')
    return { execution: Context.current().info.workflowExecution?.workflowId ?? '', waitsUntil: 0 }
  },
}

/** Each run is another order. */
function order(workflowId = 'exec-1'): MockActivityEnvironment {
  return activityEnvironment({ workflowExecution: { workflowId, runId: randomUUID() } })
}

function host(commands: Record<string, CommandConfig>, more: Partial<CommandHost> = {}): CommandHost {
  return { node: 'web-1', directory, commands, permits, journal, bootId: async () => 'boot-1', ...more }
}

function run(commands: Record<string, CommandConfig>, request: unknown, environment = order()): Promise<CommandResult> {
  return environment.run(runCommandActivity(host(commands)), request as { name: string })
}

const failure = (type: string): unknown => expect.objectContaining({ type, nonRetryable: true })

describe('permit', () => {
  it('missing for a command that changes the host → not run', async () => {
    permits.refuses = true
    const commands = { touch: command(['touch', 'touched']) }
    await expect(run(commands, { name: 'touch' })).rejects.toEqual(failure('PermitRefused'))
    permits.refuses = false
    await expect(readFile(join(directory, 'touched'))).rejects.toThrow('ENOENT')
    await expect(run(commands, { name: 'touch' })).resolves.toMatchObject({ exitCode: 0 })
  })

  it('cancelled during the check → not run', async () => {
    const environment = order()
    const slow = {
      async check(): Promise<PermittedChange> {
        environment.cancel()
        return { execution: 'exec-1', waitsUntil: 0 }
      },
    }
    const activity = runCommandActivity(host({ touch: command(['touch', 'too-late']) }, { permits: slow }))
    await expect(environment.run(activity, { name: 'touch' })).rejects.toThrow('before it began')
    await expect(readFile(join(directory, 'too-late'))).rejects.toThrow('ENOENT')
  })

  it('missing for a read-only command → run', async () => {
    const before = permits.asked
    await run({ look: command(['true'], { read_only: true }) }, { name: 'look' })
    expect(permits.asked).toBe(before)
  })
})

describe('binding to workflows', () => {
  it.each([[undefined], [[]]])('command that changes the host, workflows %j → run by nobody', async (workflows) => {
    const { workflows: _, ...unbound } = command(['touch', 'touched'])
    const commands = { wipe: { ...unbound, ...(workflows && { workflows }) } }
    const before = permits.asked
    await expect(run(commands, { name: 'wipe' })).rejects.toMatchObject({
      type: 'CommandNotAllowed',
      message: expect.stringContaining('add workflows = ["…"] to its block in worker.hcl'),
    })
    expect(permits.asked).toBe(before)
  })

  it('bound command → its workflows checked against the permit, also when it outlives the worker', async () => {
    const commands = { wipe: command(['true'], { workflows: ['wipe-and-reset'] }) }
    await run(commands, { name: 'wipe' })
    await run(commands, { name: 'wipe', outlivesWorker: true })
    const binding = { name: 'wipe', workflows: ['wipe-and-reset'] }
    // The detached one asks again just before its process begins.
    expect(permits.scopes.slice(-3).map((scope) => scope?.binding)).toEqual([binding, binding, binding])
  })
})

describe('command', () => {
  it('argv → run without a shell', async () => {
    const result = await run(
      { say: command(['printf', '%s', '$HOME; `id` {word}'], { params: { word: '.*' } }) },
      { name: 'say', params: { word: 'a b' } },
    )
    expect(result).toMatchObject({ exitCode: 0, stdout: '$HOME; `id` a b', stderr: '' })
  })

  it.each(['other', 'toString', '__proto__', ''])('refuses the command %j', async (name) => {
    await expect(run({ say: command(['true']) }, { name })).rejects.toEqual(failure('CommandNotAllowed'))
  })

  it.each([
    [{ unit: 'nginx; reboot' }],
    [{ unit: 'nginx\nreboot' }],
    [{ unit: '' }],
    [{}],
    [{ unit: 5 }],
    [{ unit: 'nginx', more: 'x' }],
    [{ unit: 'a\0b' }],
  ])('parameters %j → refused', async (params) => {
    const commands = { restart: command(['echo', '{unit}'], { params: { unit: '^[a-z0-9@.-]+$' } }) }
    await expect(run(commands, { name: 'restart', params })).rejects.toEqual(failure('InvalidParams'))
  })

  it.each(['-f', '--force', '-', '--'])(
    'parameter %j → refused as an option unless options are allowed',
    async (unit) => {
      const open = { params: { unit: '.*' } }
      const ask = (commands: Record<string, CommandConfig>) => run(commands, { name: 'restart', params: { unit } })
      await expect(ask({ restart: command(['echo', '{unit}'], open) })).rejects.toMatchObject({
        type: 'InvalidParams',
        message: expect.stringContaining('allow_options = true'),
      })
      // printf itself would take "--" for its own.
      const result = await ask({ restart: command(['printf', '%s', '{unit}'], { ...open, allow_options: true }) })
      expect(result).toMatchObject({ stdout: unit })
    },
  )

  it('pattern without anchors → whole value must match', async () => {
    const commands = { restart: command(['echo', '{unit}'], { params: { unit: 'nginx' } }) }
    await expect(run(commands, { name: 'restart', params: { unit: 'nginx2' } })).rejects.toEqual(
      failure('InvalidParams'),
    )
  })
})

describe('result', () => {
  it('non-zero exit, signal, missing program → a result', async () => {
    expect(await run({ c: command(['sh', '-c', 'echo out; echo err >&2; exit 3']) }, { name: 'c' })).toMatchObject({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect(await run({ c: command(['sh', '-c', 'kill -9 $$']) }, { name: 'c' })).toMatchObject({ exitCode: 137 })
    expect(await run({ c: command(['/nonexistent/program']) }, { name: 'c' })).toMatchObject({
      exitCode: 127,
      stderr: expect.stringContaining('ENOENT'),
    })
  })

  it('output over its limit → cut, command continues', async () => {
    const result = await run(
      { c: command(['sh', '-c', 'head -c 200000 /dev/zero | tr "\\0" x; echo done >&2']) },
      { name: 'c' },
    )
    expect(result).toMatchObject({ exitCode: 0, stderr: 'done\n' })
    expect(result.stdout).toHaveLength(64 * 1024 + '\n[134464 more bytes were cut]\n'.length)
  })

  it('environment → four variables only', async () => {
    const { stdout } = await run({ c: command(['env']) }, { name: 'c' })
    const names = stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0])
      .sort()
    expect(names).toEqual(
      ['HOME', 'PATH', 'RESILE_EXECUTION_ID', 'RESILE_NODE'].filter(
        (name) => name.startsWith('RESILE') || process.env[name] !== undefined,
      ),
    )
    expect(stdout).toContain('RESILE_EXECUTION_ID=exec-1')
  })

  it('working directory → the project', async () => {
    expect((await run({ c: command(['pwd']) }, { name: 'c' })).stdout.trim()).toBe(directory)
  })

  it('child keeps the output open → command ends', async () => {
    expect(await run({ c: command(['sh', '-c', 'sleep 60 & echo $! > left.pid']) }, { name: 'c' })).toMatchObject({
      exitCode: 0,
    })
    process.kill(Number(await readFile(join(directory, 'left.pid'), 'utf8')))
  })
})

describe('command ended early', () => {
  it('timeout → with all that it started', async () => {
    const commands = { c: command(['sh', '-c', 'sleep 60 & echo $! > slow.pid; wait'], { timeout: 500 }) }
    await expect(run(commands, { name: 'c' })).rejects.toEqual(failure('CommandTimeout'))
    const pid = Number(await readFile(join(directory, 'slow.pid'), 'utf8'))
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  })

  it('cancelled → ended', async () => {
    const environment = order()
    const running = run({ c: command(['sleep', '60']) }, { name: 'c' }, environment)
    environment.cancel()
    await expect(running).rejects.toBeInstanceOf(CancelledFailure)
  })

  it('failure → Temporal application failure', async () => {
    await expect(run({}, { name: 'c' })).rejects.toBeInstanceOf(ApplicationFailure)
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

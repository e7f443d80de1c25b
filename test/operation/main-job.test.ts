import { statSync } from 'node:fs'
import { kill } from 'node:process'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev, startDevProcess } from '../support/dev.ts'
import { repository, temporaryDirectory } from '../support/files.ts'
import type { ConstraintUse, Decision, Execution, List } from '../support/http.ts'
import { gone, isRunning } from '../support/processes.ts'
import { until } from '../support/until.ts'

/** How long a fault may last: on a busy machine a first attempt may fail, and the next trigger comes a minute later. */
const healing = { within: 150_000, every: 250 }

describe('resile dev --sample', { timeout: 180_000 }, () => {
  let data: string
  let dev: Dev

  const startSample = async () => {
    dev = await startDev({ project: repository, data, flags: ['--sample'] })
    await until('the sample is healthy', isHealthy)
  }
  beforeAll(async () => {
    data = temporaryDirectory()
    await startSample()
  })

  const isHealthy = async () => {
    const answer = await fetch(dev.at('sample'), { signal: AbortSignal.timeout(2_000) }).catch(() => undefined)
    await answer?.text()
    return answer?.status === 200
  }
  const breakSample = async () => {
    expect((await fetch(`${dev.at('sample')}/break`, { method: 'POST' })).ok).toBe(true)
    expect((await fetch(dev.at('sample'))).status).toBe(500)
  }
  const executions = async () => {
    const { code, stdout } = await dev.resile('executions', '--json')
    expect(code).toBe(0)
    return (JSON.parse(stdout) as List<Execution>).items
  }
  /** The executions, once none is open. */
  const settled = async (count: number) => {
    const items = await until(
      `${count} executions are completed`,
      async () => {
        const now = await executions()
        return now.every(({ status }) => status === 'completed') && now.length >= count && now
      },
      healing,
    )
    expect(items).toHaveLength(count)
    return items
  }

  test('started → ready line names everything', () => {
    expect(dev.ready).toMatchObject({
      coordinator: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      temporal: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      temporal_http: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      namespace: 'default',
      ui: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      sample: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    })
    expect(dev.process.said.stdout.match(/^resile ready /gm)).toHaveLength(1)
  })

  test('ready line → everything in it answers', async () => {
    expect((await dev.call('/readyz')).status).toBe(200)
    expect((await dev.call('/healthz')).status).toBe(200)
    expect((await fetch(dev.at('ui'))).ok).toBe(true)
    expect(await dev.temporal.isUp()).toBe(true)
  })

  test('dev.json → same addresses, all processes', () => {
    const { coordinator, temporal, temporal_http, ui } = dev.ready
    expect(dev.file).toMatchObject({ coordinator, temporal, temporal_http, ui })
    expect(isRunning(dev.file.pid)).toBe(true)
    for (const child of dev.file.processes) {
      expect(child).toEqual({ role: expect.any(String), name: expect.any(String), pid: expect.any(Number) })
      expect(isRunning(child.pid)).toBe(true)
    }
    const roles = dev.file.processes.map(({ role }) => role)
    expect(roles).toEqual(expect.arrayContaining(['temporal', 'coordinator', 'worker', 'detector', 'sample']))
  })

  test("coordinator's socket → mode 600", async () => {
    const status = statSync(dev.file.socket)
    expect(status.isSocket()).toBe(true)
    expect(status.mode & 0o777).toBe(0o600)
    expect((await dev.callSocket('/readyz')).status).toBe(200)
  })

  test('POST /break → healed by one completed execution with a receipt', async () => {
    await breakSample()
    await until('the sample is healthy again', isHealthy, healing)
    const [execution] = await settled(1)
    expect(execution).toMatchObject({ workflow: 'restart-service', status: 'completed' })
    const { body: decision } = await dev.call<Decision>(`/v1/decisions/${execution?.id}`)
    expect(decision).toMatchObject({ outcome: 'admitted', code: null, workflow: 'restart-service' })
    const kinds = decision.constraints.map(({ kind }) => kind)
    expect(kinds).toEqual(expect.arrayContaining(['concurrency', 'maxExecution']))
    // What an operator sees.
    const shown = await dev.resile('executions', execution?.id ?? '')
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining('completed') })
    for (const kind of kinds) expect(shown.stdout).toContain(kind)
  })

  test('healed → shown in the terminal', () => {
    const { stdout, stderr } = dev.process.said
    expect(stdout + stderr).toMatch(/admitted.*restart-service|restart-service.*admitted/)
    expect(stdout + stderr).toMatch(/completed/)
  })

  test('service stopped by SIGSTOP → healed', async () => {
    const stopped = dev.pid('sample')
    kill(stopped, 'SIGSTOP')
    expect(await isHealthy()).toBe(false)
    await until('the sample is healthy again', isHealthy, healing)
    await gone([stopped], 10_000)
    await settled(2)
  })

  test('second one on the same data → refused with the reason', async () => {
    const second = await startDevProcess({ project: repository, data, flags: ['--sample'] }).ended
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(data)
    expect(second.stderr).toMatch(/in use/)
    expect(second.stdout).not.toContain('resile ready')
    expect((await dev.call('/readyz')).status).toBe(200)
  })

  test('SIGTERM, started again → exit code 0, knows executions and windows, heals', async () => {
    const children = dev.pids()
    expect(await dev.stop()).toMatchObject({ code: 0 })
    await gone(children, 1_000)
    await startSample()
    expect(await executions()).toHaveLength(2)
    const { body: workflow } = await dev.call<{ constraints: ConstraintUse[] }>('/v1/workflows/restart-service')
    expect(workflow.constraints).toContainEqual(expect.objectContaining({ kind: 'maxExecution', used: 2 }))
    await breakSample()
    await until('the sample is healthy again', isHealthy, healing)
    await settled(3)
  })

  test('SIGKILL → children end within 10 s, next start heals', async () => {
    const children = dev.pids()
    kill(dev.file.pid, 'SIGKILL')
    await gone([...children, dev.process.pid], 10_000)
    await startSample()
    expect(await executions()).toHaveLength(3)
    await breakSample()
    await until('the sample is healthy again', isHealthy, healing)
    await settled(4)
  })

  test('SIGKILL of the launched process → children end within 10 s, next start heals', async () => {
    const children = dev.pids()
    const { pid } = dev.file
    kill(dev.process.pid, 'SIGKILL')
    await gone([...children, pid], 10_000)
    await startSample()
    expect(await executions()).toHaveLength(4)
  })

  test('SIGTERM to the pid in dev.json → all end', async () => {
    const children = dev.pids()
    kill(dev.file.pid, 'SIGTERM')
    expect(await dev.process.ended).toMatchObject({ code: 0 })
    await gone(children, 1_000)
    await startSample()
  })

  test('Ctrl-C → exit code 0', async () => {
    const children = dev.pids()
    expect(await dev.interrupt()).toMatchObject({ code: 0 })
    await gone(children, 1_000)
  })
})

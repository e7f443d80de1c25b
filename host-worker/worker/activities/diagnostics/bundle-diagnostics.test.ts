import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { MockActivityEnvironment } from '@temporalio/testing'
import { describe, expect, it } from 'vitest'
import type { BundleReport } from '../../../../workflows/sdk/activities.ts'
import { command, order, testHost } from '../../testing/change-host.ts'
import { bundleDiagnosticsActivity, type DiagnosticsHost } from './bundle-diagnostics.ts'

const diagnostics = { commands: [], files: [], redact: [], max_bytes: 4096, keep: 3 }
const summary = async () => ({ node: 'web-1' }) as never

const write = (environment: MockActivityEnvironment, host: DiagnosticsHost): Promise<BundleReport> =>
  environment.run(bundleDiagnosticsActivity(host, summary), {})

describe('bundleDiagnostics', () => {
  it.each(['../../escaped', 'a/b', '..', 'x'.repeat(1000), ''])(
    'lies among the others whatever its execution is called: %j',
    async (workflowId) => {
      const plain = testHost()
      const host = { ...plain, diagnostics, data: join(plain.directory, 'data') }
      const { path } = await write(order(workflowId)(), host)
      expect(dirname(path ?? '')).toBe(join(host.data, 'bundles'))
      expect(readdirSync(plain.directory).sort()).toEqual(['data', 'journal'])
    },
  )

  it('commands → read-only ones only', async () => {
    const plain = testHost({ touch: command(['touch', 'touched']) })
    const host = { ...plain, diagnostics: { ...diagnostics, commands: ['touch'] }, data: join(plain.directory, 'data') }
    const { entries } = await write(order()(), host)
    expect(entries[1]).toMatchObject({ error: 'command touch is not read_only' })
    expect(readdirSync(plain.directory)).not.toContain('touched')
  })

  it("name → its execution's", async () => {
    const plain = testHost()
    const host = { ...plain, diagnostics, data: join(plain.directory, 'data') }
    const id = '0197c1a0-0000-7000-8000-000000000000'
    const { path } = await write(order(id)(), host)
    expect(path).toBe(join(host.data, 'bundles', `${id}.zip`))
  })
})

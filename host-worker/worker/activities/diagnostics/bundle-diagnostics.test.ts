import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ApplicationFailure } from '@temporalio/common'
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
    'execution called %j without a permit → nothing written or evicted',
    async (workflowId) => {
      const plain = testHost()
      const permits = {
        check: async () => Promise.reject(ApplicationFailure.nonRetryable('no permit', 'PermitRefused')),
      }
      const host = { ...plain, permits, diagnostics: { ...diagnostics, keep: 1 }, data: join(plain.directory, 'data') }
      await expect(write(order(workflowId)(), host)).rejects.toMatchObject({ type: 'PermitRefused' })
      expect(readdirSync(plain.directory)).toEqual(['journal'])
    },
  )

  it('dry run → needs no permit, writes nothing', async () => {
    const plain = testHost()
    const host = { ...plain, diagnostics, data: join(plain.directory, 'data') }
    const preview = bundleDiagnosticsActivity(host, summary)
    expect(await order()().run(preview, { dryRun: true })).toMatchObject({ path: null, sha256: null })
    expect([plain.asked, readdirSync(plain.directory)]).toEqual([0, ['journal']])
  })

  it('commands → read-only ones only', async () => {
    const plain = testHost({ touch: command(['touch', 'touched']) })
    const host = { ...plain, diagnostics: { ...diagnostics, commands: ['touch'] }, data: join(plain.directory, 'data') }
    const { entries } = await write(order()(), host)
    expect(entries[1]).toMatchObject({ error: 'command touch is not read_only' })
    expect(readdirSync(plain.directory)).not.toContain('touched')
  })

  it('several of one execution → a file each, also when an attempt is made again', async () => {
    const plain = testHost()
    const host = { ...plain, diagnostics, data: join(plain.directory, 'data') }
    const id = '0197c1a0-0000-7000-8000-000000000000'
    const first = order(id)
    const paths = [await write(first(), host), await write(first(), host), await write(order(id)(), host)].map(
      ({ path }) => path ?? '',
    )
    expect(paths[1]).toBe(paths[0])
    expect(paths[2]).not.toBe(paths[0])
    expect(paths.every((path) => path.startsWith(join(host.data, 'bundles', id)))).toBe(true)
    expect(readdirSync(join(host.data, 'bundles'))).toHaveLength(2)
  })
})

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { reportReady } from './service-manager.ts'

test('one notification fails → told again, and the next ones follow', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'resile-notify-'))
  const stopped = new AbortController()
  try {
    const said = join(directory, 'said')
    const command = join(directory, 'systemd-notify')
    // Fails on what it is told first of each kind, as on a host that can't start a process at this time.
    writeFileSync(command, `#!/bin/sh\necho "$1" >>'${said}'\n[ "$(grep -c -- "$1" '${said}')" -gt 1 ]\n`)
    chmodSync(command, 0o755)
    vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`)
    vi.stubEnv('NOTIFY_SOCKET', join(directory, 'none'))
    vi.stubEnv('WATCHDOG_USEC', '200000')
    reportReady(stopped.signal)
    const lines = (): string[] => readFileSync(said, 'utf8').trim().split('\n')
    await vi.waitFor(() => expect(lines().filter((line) => line === 'WATCHDOG=1').length).toBeGreaterThan(2), 30_000)
    expect(lines().slice(0, 2)).toEqual(['--ready', '--ready'])
    stopped.abort()
    await vi.waitFor(() => expect(lines()).toContain('STOPPING=1'), 10_000)
  } finally {
    vi.unstubAllEnvs()
    rmSync(directory, { recursive: true, force: true })
  }
})

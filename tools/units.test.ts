import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { lacks, titled } from './debian-packages.ts'

const run = promisify(execFile)
const UNITS = join(import.meta.dirname, '..', 'packaging/systemd')
const directory = mkdtempSync(join(tmpdir(), 'resile-units-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const names = readdirSync(UNITS)
for (const name of names) {
  // The command is not installed here.
  const text = readFileSync(join(UNITS, name), 'utf8').replaceAll('/usr/bin/resile ', '/bin/true ')
  writeFileSync(join(directory, name), text.replaceAll(/^Documentation=man:.*\n/gm, ''))
}

test.skipIf(lacks('systemd'))(`${titled('units: systemd-analyze verify → nothing wrong', 'systemd')}`, async () => {
  const files = names.map((name) => join(directory, name))
  const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', ...files])
  const own = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('resile-'))
  expect(own).toEqual([])
})

test.skipIf(lacks('systemd')).each(['resile-coordinator.service', 'resile-detector.service'])(
  `${titled('unit %s: systemd-analyze security → at most 2.0', 'systemd')}`,
  async (name) => {
    const args = ['security', '--offline=true', '--threshold=20', join(directory, name)]
    const { stdout } = await run('systemd-analyze', args)
    expect(stdout).toContain(`Overall exposure level for ${name}`)
  },
)

test('units: each service → Type=notify with a watchdog, reloadable, separate StateDirectory', () => {
  for (const name of names.filter((one) => one.endsWith('.service'))) {
    const text = readFileSync(join(UNITS, name), 'utf8')
    expect(text).toContain('Type=notify\n')
    expect(text).toMatch(/^ExecReload=\/usr\/bin\/resile reload .*--data \$\{STATE_DIRECTORY\}$/m)
    expect(text).toContain(`StateDirectory=${name.replace('.service', '')}\n`)
    expect(text).toMatch(/^WatchdogSec=\d+$/m)
  }
})

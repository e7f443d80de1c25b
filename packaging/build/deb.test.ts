import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { buildDeb, installForDebian } from './deb.ts'
import { LAUNCHER, LAUNCHER_PATH } from './program.ts'
import { TARGETS, type Target } from './target.ts'

const run = promisify(execFile)
const source = {
  repository: PACKAGE_ROOT,
  version: '1.2.3',
  maintainer: 'Somebody <somebody@example.org>',
  description: 'Does one thing, then another',
  at: Date.UTC(2026, 0, 2) / 1000,
}

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'resile-deb-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** The package of everything but the program itself, which would take minutes. */
async function build(name: string, umask: number): Promise<string> {
  const before = process.umask(umask)
  try {
    const tree = join(directory, name)
    mkdirSync(join(tree, 'usr/bin'), { recursive: true })
    writeFileSync(join(tree, LAUNCHER_PATH), LAUNCHER)
    await installForDebian(tree, source)
    const file = join(directory, `${name}_1.2.3_amd64.deb`)
    await buildDeb(tree, file, source, target())
    return file
  } finally {
    process.umask(before)
  }
}

function target(): Target {
  const [first] = TARGETS
  if (first === undefined) throw new Error('nothing is built')
  return first
}

test.skipIf(lacks('lintian'))(`${titled('built twice → identical', 'lintian')}`, async () => {
  const [one, other] = [await build('one', 0o022), await build('other', 0o077)]
  expect(readFileSync(one).equals(readFileSync(other))).toBe(true)
})

test.skipIf(lacks('lintian'))(
  `${titled('lintian finds nothing', 'lintian')}`,
  async () => {
    const file = await build('resile', 0o022)
    const { stdout } = await run('lintian', ['--no-cfg', '--allow-root', '--fail-on', 'error,warning', file]).catch(
      (error: unknown) => error as { stdout: string },
    )
    expect(stdout).toBe('')
  },
  120_000,
)

test.skipIf(lacks('lintian'))(
  `${titled('its examples are conffiles, its programs executable', 'lintian')}`,
  async () => {
    const file = await build('resile', 0o077)
    const { stdout: conffiles } = await run('dpkg-deb', ['--info', file, 'conffiles'])
    expect(conffiles.trim().split('\n')).toEqual([
      '/etc/resile/coordinator.hcl',
      '/etc/resile/detectors.hcl',
      '/etc/resile/worker.hcl',
    ])
    const { stdout: list } = await run('dpkg-deb', ['--contents', file])
    expect(list).toMatch(/^-rwxr-xr-x root\/root .* \.\/usr\/bin\/resile$/m)
    expect(list).toMatch(/^-rw-r--r-- root\/root .* \.\/usr\/lib\/systemd\/system\/resile-worker\.service$/m)
  },
)

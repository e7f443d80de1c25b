import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { strFromU8, unzipSync } from 'fflate'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { DiagnosticsConfig } from '../../../../shared/config.ts'
import { type BundleSource, type PartText, previewBundle, writeBundle } from './bundle.ts'
import { redact } from './redact.ts'

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'resile-bundle-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  return directory
}

function source(config: Partial<DiagnosticsConfig>, more: Partial<BundleSource> = {}): BundleSource {
  return {
    config: { commands: [], files: [], redact: [], max_bytes: 64 * 1024, keep: 3, ...config },
    directory: join(scratch(), 'bundles'),
    id: 'exec-1',
    run: async (name) => ({ text: `output of ${name}`, cut: false }),
    summary: async () => ({ node: 'web-1' }),
    ...more,
  }
}

function open(path: string | null): Record<string, string> {
  const files = unzipSync(readFileSync(path ?? ''))
  return Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, strFromU8(bytes)]))
}

describe('bundle', () => {
  it('allowed content → with checksum, readable by the owner only', async () => {
    const log = join(scratch(), 'app.log')
    writeFileSync(log, 'first\nsecond\n')
    const report = await writeBundle(source({ commands: ['df'], files: [log] }))
    const files = open(report.path)
    expect(files['commands/df.txt']).toBe('output of df')
    expect(files[`files${log}`]).toBe('first\nsecond\n')
    expect(JSON.parse(files['summary.json'] ?? '')).toEqual({ node: 'web-1' })
    expect(JSON.parse(files['manifest.json'] ?? '')).toMatchObject({ id: 'exec-1', entries: report.entries })
    const bytes = readFileSync(report.path ?? '')
    expect(report).toMatchObject({ bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') })
    expect(statSync(report.path ?? '').mode & 0o777).toBe(0o600)
  })

  it('file of /proc, which has no size → whole', async () => {
    const report = await writeBundle(source({ files: ['/proc/meminfo'] }))
    expect(report.entries[1]).toMatchObject({ name: 'files/proc/meminfo', cut: false, error: null })
    expect(report.entries[1]?.bytes).toBeGreaterThan(500)
  })

  it('output that was cut where it was made → said to be cut', async () => {
    const run = async () => ({ text: '[7 more bytes were cut]\nthe end', cut: true })
    const report = await writeBundle(source({ commands: ['loud'] }, { run }))
    expect(report.entries[1]).toMatchObject({ cut: true })
  })

  it('large parts → ends kept, none takes all', async () => {
    const log = join(scratch(), 'app.log')
    writeFileSync(log, Array.from({ length: 10_000 }, (_, line) => `line ${line}`).join('\n'))
    const run = async () => ({ text: 'y'.repeat(100_000), cut: false })
    const report = await writeBundle(source({ commands: ['loud'], files: [log], max_bytes: 9000 }, { run }))
    expect(report.entries.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(9000)
    expect(report.entries.map(({ cut, bytes }) => [cut, bytes > 1000])).toEqual([
      [false, false],
      [true, true],
      [true, true],
    ])
    const text = open(report.path)[`files${log}`] ?? ''
    expect(text.startsWith('line ') && text.endsWith('line 9999')).toBe(true)
  })

  it('unreadable part → reported, rest kept', async () => {
    const directory = scratch()
    const [secret, link, pipe] = [join(directory, 's'), join(directory, 'l'), join(directory, 'p')]
    writeFileSync(secret, 'x')
    symlinkSync(secret, link)
    execFileSync('mkfifo', [pipe])
    const run = async (): Promise<PartText> => {
      throw new Error('no such command')
    }
    const report = await writeBundle(source({ commands: ['c'], files: [link, pipe, join(directory, 'none')] }, { run }))
    const errors = report.entries.map(({ error }) => error)
    expect(errors).toEqual([
      null,
      'no such command',
      expect.stringContaining('ELOOP'),
      'not a regular file',
      expect.stringContaining('ENOENT'),
    ])
  })

  it('symbolic link on the way → not followed', async () => {
    const [directory, outside] = [scratch(), scratch()]
    writeFileSync(join(outside, 'app.log'), 'secret')
    symlinkSync(outside, join(directory, 'logs'))
    const report = await writeBundle(source({ files: [join(directory, 'logs/app.log')] }))
    expect(report.entries[1]).toMatchObject({ error: expect.stringContaining('leads to') })
  })

  it('enough bundles → replaces the oldest', async () => {
    const one = source({ keep: 2 })
    for (const [index, id] of ['a', 'b', 'c'].entries()) {
      const { path } = await writeBundle({ ...one, id })
      utimesSync(path ?? '', 1000 + index, 1000 + index)
    }
    await writeBundle({ ...one, id: 'd' })
    expect(readdirSync(one.directory).sort()).toEqual(['c.zip', 'd.zip'])
  })

  it('dry run → described only', () => {
    expect(previewBundle(source({ commands: ['df'], files: ['/var/log/a'] }))).toMatchObject({
      path: null,
      entries: [{ name: 'summary.json' }, { name: 'commands/df.txt' }, { name: 'files/var/log/a' }],
    })
  })
})

describe('redaction', () => {
  it.each([
    ['password=hunter2 user=bob', 'password=[redacted] user=bob'],
    ['{"api_key": "abc def", "n": 1}', '{"api_key": [redacted], "n": 1}'],
    ['Authorization: Bearer abcdefgh12345', 'Authorization: [redacted]'],
    ['curl -H "x: bearer abcdefgh12345"', 'curl -H "x: bearer [redacted]"'],
    ['Authorization: Token abc def', 'Authorization: [redacted]'],
    ['cookie: theme=dark; session=abc', 'cookie: [redacted]'],
    ['{"password": "ab\\"cd", "n": 1}', '{"password": [redacted], "n": 1}'],
    ['https://ghp_abcdef@git.example.org/x', 'https://[redacted]@git.example.org/x'],
    ['postgres://bob:pw@db/app', 'postgres://[redacted]@db/app'],
    ['t eyJhbGciOiJI.eyJzdWIi.c2ln end', 't [redacted] end'],
    ['AKIAIOSFODNN7EXAMPLE', '[redacted]'],
    ['a token of thanks, and secretly nothing', 'a token of thanks, and secretly nothing'],
  ])('%s → replaced', async (line, expected) => {
    expect((await redact(line, [])).text).toBe(expected)
  })

  it("private keys and the host's patterns → replaced", async () => {
    const key = '-----BEGIN RSA PRIVATE KEY-----\nMIIB\nabc\n-----END RSA PRIVATE KEY-----'
    const { text, redactions } = await redact(`before\n${key}\nafter card 1234-5678`, ['[0-9]{4}-[0-9]{4}'])
    expect(text).toBe('before\n[redacted]\n\n\n\nafter card [redacted]')
    expect(redactions).toBe(2)
  })

  it('key without its beginning → replaced', async () => {
    const { text } = await redact('YWJj\nZGVm\n-----END PRIVATE KEY-----\nafter', [])
    expect(text).toBe('\n\n[redacted]\nafter')
  })

  it('long lines → linear time', async () => {
    const { text } = await redact(`${'a'.repeat(5_000_000)}\nend`, [])
    expect(text.length).toBeLessThan(20_000)
  })
})

import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CommandConfig } from '../../shared/config.ts'
import { problem } from '../config/hcl/diagnostic.ts'
import { checkCertificates, checkCommands, checkConfig, checkData, checkRuntime } from './host-checks.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resile-doctor-'))
})
afterAll(() => rm(directory, { recursive: true }))

it('runtime: old Node → fail', () => {
  expect(checkRuntime('24.0.0').status).toBe('ok')
  expect(checkRuntime('22.20.1')).toMatchObject({ status: 'fail', hint: expect.stringContaining('24') })
  expect(checkRuntime().status).toBe('ok')
})

it('project: errors → first one shown', () => {
  const one = { file: 'worker.hcl', ...problem({ line: 2, column: 3 }, 'node', 'is wrong') }
  expect(checkConfig({ dir: '/p', errors: [one, one], warnings: [one] })).toMatchObject({
    status: 'fail',
    detail: expect.stringMatching(/^2 errors, the first: worker\.hcl:2:3: node: is wrong/),
    hint: 'resile check --project /p',
  })
  expect(checkConfig({ dir: '/p', errors: [], warnings: [one] }).status).toBe('warn')
  expect(checkConfig({ dir: '/p', errors: [], warnings: [] }).status).toBe('ok')
})

it('commands: programs → found as when they run', async () => {
  const command = (program: string): CommandConfig => ({
    argv: [program],
    params: {},
    timeout: 1,
    read_only: true,
    allow_options: false,
  })
  await mkdir(join(directory, 'bin'))
  await writeFile(join(directory, 'bin/own'), '')
  const own = { own: command('bin/own') }
  expect(await checkCommands(own, directory)).toMatchObject({
    status: 'fail',
    detail: 'own: there is no program bin/own to run',
  })
  await chmod(join(directory, 'bin/own'), 0o755)
  expect((await checkCommands(own, directory)).status).toBe('ok')
  expect((await checkCommands({ a: command('ls'), b: command('/bin/ls'), c: command('{any}') }, '/')).status).toBe('ok')
  // A directory can be entered, not run.
  expect((await checkCommands({ a: command('./bin') }, directory)).status).toBe('fail')
  expect((await checkCommands({ a: command('resile-absent') }, directory)).status).toBe('fail')
  expect(await checkCommands({}, directory)).toMatchObject({ status: 'ok', detail: 'there are none' })
})

it('data directory: tried → left unchanged', async () => {
  expect((await checkData(directory)).status).toBe('ok')
  expect((await checkData(join(directory, 'a/b'))).detail).toBe(`${join(directory, 'a/b')} can be made`)
  expect(await readdir(directory)).not.toContain('a')
  await writeFile(join(directory, 'file'), '')
  expect((await checkData(join(directory, 'file'))).status).toBe('fail')
})

it('certificates: file missing → named', async () => {
  const absent = join(directory, 'absent.pem')
  expect((await checkCertificates(null, null)).status).toBe('ok')
  expect((await checkCertificates({}, null)).status).toBe('warn')
  expect((await checkCertificates({ ca_file: absent }, null)).detail).toContain(absent)
  expect((await checkCertificates({ cert_file: absent, key_file: absent }, null)).detail).toContain(absent)
})

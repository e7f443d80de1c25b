/** Attacks by a caller who may start one workflow, through the input that it sends. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { repository, writeProject } from '../support/files.ts'
import { problem } from '../support/http.ts'

const library = (name: string): string => readFileSync(join(repository, 'workflows', `${name}.hcl`), 'utf8')

const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    command "restart" {
      argv = ["/usr/bin/touch", "restarted"]
      workflows = ["restart-service"]
    }
    command "wipe" {
      argv = ["/usr/bin/touch", "wiped"]
      workflows = ["wipe-and-reset"]
    }
    command "unbound" { argv = ["/usr/bin/touch", "unbound"] }
    command "tag" {
      argv = ["/usr/bin/touch", "{file}"]
      params = { file = "^[a-z-]+$" }
      workflows = ["restart-service"]
    }`,
  // As the library's was, and as copies of it may still be.
  'workflows/restart-service.hcl': `
    task_queue_target = "node"
    input "command" { type = "string" }
    input "params" { type = "object" }
    input "next" { type = "object" }
    input "check" { type = "object" }
    input "verify_for" { type = "string" }
    input "dry_run" { type = "bool" }`,
  'workflows/typed.hcl': library('restart-service')
    .replace('input "command" {', 'workflow_type = "restartService"\ninput "command" {\n  one_of = ["restart"]')
    .replace('field "url" {', 'field "url" {\n    hosts = ["127.0.0.1"]'),
})
const done = (file: string): boolean => existsSync(join(project, file))

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1'] })
})

/** The failure of an execution that was started with this input. */
async function failureOf(input: object): Promise<string> {
  const { error } = await dev.ran('restart-service', { target: { node: 'web-1' }, input }, 'failed')
  return JSON.stringify(error)
}

/** A service that is not there: it can't be told from one that is sick. */
const check = { url: 'http://127.0.0.1:1/' }

describe('input that names a command', () => {
  test.each([
    ['as the command', { command: 'wipe', check, verify_for: '1s' }],
    ['as what is tried next', { command: 'restart', next: { command: 'wipe' }, check, verify_for: '1s' }],
  ])('of another workflow, %s → refused by the host', async (_, input) => {
    const failure = await failureOf(input)
    expect(failure).toContain('wrong_command')
    expect(failure).toContain('worker.hcl binds command wipe to wipe-and-reset')
    expect(done('wiped')).toBe(false)
  })

  test('of no workflow → refused, and the line to add is named', async () => {
    expect(await failureOf({ command: 'unbound', check })).toContain('add workflows = ')
    expect(done('unbound')).toBe(false)
  })

  test('with an option as a parameter → refused', async () => {
    expect(await failureOf({ command: 'tag', params: { file: '--no-create' }, check })).toContain(
      'allow_options = true',
    )
  })

  test.each([
    [{ command: 'wipe', check }, '/input/command'],
    [{ command: 'restart', params: { a: ['b'] }, check }, '/input/params/a'],
    [{ command: 'restart', next: { command: 'restart', next: { command: 1 } }, check }, '/input/next/next/command'],
    [{ command: 'restart', check: { url: 'http://127.0.0.1.example.org/' } }, '/input/check/url'],
    [{ command: 'restart', check: { url: 'data:,ok' } }, '/input/check/url'],
  ])('%j, workflow that declares its input → 422', async (input, path) => {
    const answer = await dev.start('typed', { target: { node: 'web-1' }, input })
    problem(answer, 422, 'invalid_input')
    expect(answer.body).toMatchObject({ errors: [{ path }] })
  })
})

describe('input that names a URL', () => {
  test.each([
    ['data:,ok', 'neither http: nor https:'],
    ['http://169.254.169.254/latest/meta-data/', 'link-local or metadata address'],
    ['http://[::ffff:a9fe:a9fe]/', 'link-local or metadata address'],
    ['http://2852039166/', 'link-local or metadata address'],
    ['http://192.0.2.1/', 'add hosts = [\\"192.0.2.1\\"] to the checks block of worker.hcl'],
    ['http://user@127.0.0.1/', 'user or password'],
  ])('%s → not requested, and nothing is changed', async (url, message) => {
    const failure = await failureOf({ command: 'tag', params: { file: 'changed' }, check: { url } })
    expect(failure).toContain('CheckNotAllowed')
    expect(failure).toContain(message)
    expect(done('changed')).toBe(false)
  })
})

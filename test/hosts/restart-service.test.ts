import { beforeAll, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { writeProject } from '../support/files.ts'
import { type Execution, problem } from '../support/http.ts'
import { listen } from '../support/http-server.ts'

const project = writeProject({
  'worker.hcl': `
    node = "web-1"
    datacenter = "dc1"
    command "useless" {
      argv = ["/bin/echo", "restarted nothing"]
      workflows = ["restart-service"]
    }
    command "broken" {
      argv = ["/bin/sh", "-c", "echo unit not found >&2; exit 5"]
      workflows = ["restart-service"]
    }
    command "repair" {
      argv = ["/usr/bin/touch", "repaired"]
      workflows = ["restart-service"]
    }`,
  'workflows/restart-service.hcl': `
    task_queue_target = "node"
    input "command" {
      type = "string"
      required = true
    }
    input "params" { type = "object" }
    input "check" {
      type = "object"
      required = true
    }
    input "verify_for" { type = "string" }`,
})

let healthy = false
let url: string

let dev: Dev
beforeAll(async () => {
  const port = await listen((_, response) => {
    response.writeHead(healthy ? 200 : 503).end('sick of it all')
  })
  url = `http://127.0.0.1:${port}/`
  dev = await startDev({ project, nodes: ['web-1'] })
})

const restart = async (input: object, status: string): Promise<Execution> =>
  dev.ran('restart-service', { target: { node: 'web-1' }, input: { check: { url }, ...input } }, status)

test('restart-service: restart does not help → failed with the reason and diagnostics', async () => {
  const { error, result } = await restart({ command: 'useless', verify_for: '3s' }, 'failed')
  expect(result).toBeNull()
  const told = JSON.stringify(error)
  // The check that still fails, how, and what the command said.
  expect(told).toContain(url)
  expect(told).toContain('503')
  expect(told).toContain('restarted nothing')
  expect(told).toMatch(/diagnostics/i)
})

test('restart-service: command fails → failed with its output', async () => {
  const { error } = await restart({ command: 'broken', verify_for: '3s' }, 'failed')
  const told = JSON.stringify(error)
  expect(told).toContain('unit not found')
  expect(told).toMatch(/\b5\b/)
})

test('restart-service: command not allowed on the node → failed', async () => {
  const { error } = await restart({ command: 'rm', verify_for: '3s' }, 'failed')
  expect(JSON.stringify(error)).toContain('CommandNotAllowed')
})

test('restart-service: restart helps in time → completed', async () => {
  const { execution } = await dev.started('restart-service', {
    target: { node: 'web-1' },
    input: { command: 'repair', check: { url }, verify_for: '30s' },
  })
  setTimeout(() => {
    healthy = true
  }, 2_000)
  const { result } = await dev.reaches(execution.id, 'completed', { within: 35_000 })
  healthy = false
  expect(result).not.toBeNull()
})

test('restart-service: check expects another status → judged by that', async () => {
  await restart({ command: 'repair', check: { url, expectStatus: 503 }, verify_for: '5s' }, 'completed')
})

test('restart-service: no command or no check given → refused', async () => {
  const target = { node: 'web-1' }
  for (const [path, input] of [
    ['/input/command', { check: { url } }],
    ['/input/check', { command: 'repair' }],
  ] as const) {
    const { errors } = problem(await dev.start('restart-service', { target, input }), 422, 'invalid_input')
    expect(errors).toMatchObject([{ path }])
  }
})

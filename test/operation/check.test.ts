/** `resile check`: what is wrong with a project, and where. */
import { describe, expect, test } from 'vitest'
import { napping, temporaryDirectory, workflow, writeProject } from '../support/files.ts'
import { type Ended, resile } from '../support/processes.ts'

const anywhere = 'task_queue_target = "datacenter"'
const project = writeProject(napping('nap', anywhere))
const said = ({ stdout, stderr }: Ended) => stdout + stderr

describe('resile check', () => {
  const check = async (files: Record<string, string>, ...flags: string[]) =>
    resile(['check', '--project', writeProject(files), ...flags])
  const report = ({ stdout }: Ended) => JSON.parse(stdout) as { ok: boolean; errors: Mistake[]; warnings: Mistake[] }
  interface Mistake {
    file: string
    line: number
    column: number
    key: string
    message: string
    permitted: unknown[]
  }

  test('good project → exit code 0', async () => {
    expect(await resile(['check', '--project', project])).toMatchObject({ code: 0 })
    const ended = await resile(['check', '--project', project, '--json'])
    expect(ended.code).toBe(0)
    expect(report(ended)).toEqual({ ok: true, errors: [], warnings: [] })
  })

  test("the repository's own project → exit code 0", async () => {
    expect(await resile(['check'])).toMatchObject({ code: 0 })
  })

  test('all constructs and spellings of the public examples → no errors', async () => {
    const files = {
      'coordinator.hcl': `
        datacenter = "dc1"
        server_config {
            enable_tls = true
            route_rule {
              name  = "global_get"
              method = "GET"
              route_patterns = ["/*"]
              uris = ["spiffe://example.org/admin"]
            }
            route_rule {
              name = "global_post"
              method = "POST"
              route_patterns = ["/*"]
              uris = ["spiffe://example.org/admin"]
              allow_public = true
            }
            route_rule {
              name = "public_access"
              method = "GET"
              route_patterns = ["/metrics"]
              uris = []
              allow_public = true
              skip_log_match = true
            }
        }`,
      ...workflow(
        'nap',
        `
        task_queue_target = "node"

        # The following entries will ensure that
        # it does not run too often.
        #
        constraint {
            kind = "concurency"
            value = "1"
            period = "15m"
        }

        constraint {
            kind = "maxExecution"
            value = "1"
            period = "1h"
        }

        constraint {
            kind = "maxExecution"
            value = "3"
            period = "24h"
            is_global = true
        }`,
        'export async function nap() {}',
      ),
    }
    const ended = await check(files, '--json')
    expect(report(ended)).toEqual({ ok: true, errors: [], warnings: [] })
    expect(ended.code).toBe(0)
  })

  const mistakes = `task_queue_target = "everywhere"
timeout = "25h"
constraint {
  kind = "maxExecutions"
  value = 3
  period = "1h"
}
constraint {
  kind = "maxExecution"
  value = -1
  period = "24h"
  is_globl = true
}
`

  test('five mistakes in one file → five errors, each at its line and column', async () => {
    const ended = await check({ 'workflows/bad.hcl': mistakes, 'workflows/bad.ts': 'export async function bad() {}\n' })
    expect(ended.code).toBe(1)
    const lines = said(ended)
      .split('\n')
      .filter((line) => line.startsWith('workflows/bad.hcl:'))
    const places = lines.map((line) => /^(.+?:\d+:\d+): ([^:]+): (.+)$/.exec(line)?.slice(1, 3))
    expect(places).toEqual([
      ['workflows/bad.hcl:1:21', expect.stringContaining('task_queue_target')],
      ['workflows/bad.hcl:2:11', expect.stringContaining('timeout')],
      ['workflows/bad.hcl:4:10', expect.stringContaining('kind')],
      ['workflows/bad.hcl:10:11', expect.stringContaining('value')],
      ['workflows/bad.hcl:12:3', expect.stringContaining('is_globl')],
    ])
    expect(lines[0]).toMatch(/\(permitted: .*node_type.*\)/)
  })

  test('--json → the same errors', async () => {
    const ended = await check(
      { 'workflows/bad.hcl': mistakes, 'workflows/bad.ts': 'export async function bad() {}\n' },
      '--json',
    )
    expect(ended.code).toBe(1)
    const { ok, errors } = report(ended)
    expect(ok).toBe(false)
    expect(errors.map(({ file, line, column }) => [file, line, column])).toEqual([
      ['workflows/bad.hcl', 1, 21],
      ['workflows/bad.hcl', 2, 11],
      ['workflows/bad.hcl', 4, 10],
      ['workflows/bad.hcl', 10, 11],
      ['workflows/bad.hcl', 12, 3],
    ])
    for (const error of errors) {
      expect(error).toMatchObject({
        key: expect.stringMatching(/./),
        message: expect.stringMatching(/./),
        permitted: expect.any(Array),
      })
    }
  })

  test('mistakes in several files → all reported together', async () => {
    const ended = await check(
      {
        'coordinator.hcl': 'datacentre = "dc1"\n',
        'worker.hcl': 'node = "WEB"\ndatacenter = "dc1"\n',
        'detectors.hcl': 'detector "sick" {\n}\n',
        'workflows/bad.hcl': 'task_queue_target = \n',
      },
      '--json',
    )
    expect(ended.code).toBe(1)
    expect(new Set(report(ended).errors.map(({ file }) => file))).toEqual(
      new Set(['coordinator.hcl', 'worker.hcl', 'detectors.hcl', 'workflows/bad.hcl']),
    )
  })

  test.each<[string, Record<string, string>]>([
    ['a duplicate key', { 'coordinator.hcl': 'datacenter = "dc1"\ndatacenter = "dc2"\n' }],
    ['a duplicate block', { 'coordinator.hcl': 'datacenter = "dc1"\ntemporal {}\ntemporal {}\n' }],
    ['an attribute and a block of one name', { 'coordinator.hcl': 'datacenter = "dc1"\ntemporal {}\ntemporal = {}\n' }],
    ['exclusive without a node', { 'workflows/w.hcl': `${anywhere}\nconstraint {\n  kind = "exclusive"\n}\n` }],
    ['what comes later', { 'workflows/w.hcl': `${anywhere}\nescalation { receiver = "oncall" }\n` }],
    [
      'per with is_global',
      {
        'workflows/w.hcl': `task_queue_target = "node"
        constraint {
          kind = "maxExecution"
          value = 1
          period = "1h"
          per = "node"
          is_global = true
        }\n`,
      },
    ],
    [
      'per without a node',
      {
        'workflows/w.hcl': `${anywhere}\nconstraint {\n  kind = "concurrency"\n  value = 1\n  per = "node"\n}\n`,
      },
    ],
    [
      'maxExecution without a period',
      { 'workflows/w.hcl': `${anywhere}\nconstraint {\n  kind = "maxExecution"\n  value = 1\n}\n` },
    ],
    [
      'a period over 744h',
      {
        'workflows/w.hcl': `${anywhere}\nconstraint {\n  kind = "maxExecution"\n  value = 1\n  period = "745h"\n}\n`,
      },
    ],
    ['valid_for over 1h', { 'workflows/w.hcl': `${anywhere}\nvalid_for = "61m"\n` }],
    ['an elision', { 'coordinator.hcl': 'datacenter = "dc1"\nserver_config {\n  enable_tls = true\n  [...]\n}\n' }],
    ['no coordinator.hcl', { 'coordinator.hcl': '' }],
    ['an expression', { 'coordinator.hcl': 'datacenter = upper("dc1")\n' }],
  ])('%s → error', async (_, files) => {
    const ended = await check(files, '--json')
    expect(ended.code).toBe(1)
    expect(report(ended).ok).toBe(false)
    expect(report(ended).errors.length).toBeGreaterThan(0)
  })

  test('workflow without code → warning', async () => {
    const ended = await check({ 'workflows/ghost.hcl': `${anywhere}\n` }, '--json')
    expect(ended.code).toBe(0)
    expect(report(ended)).toMatchObject({ ok: true, errors: [], warnings: [{ file: 'workflows/ghost.hcl' }] })
  })

  test('resile dev on a refused project → does not start', async () => {
    const bad = writeProject({ 'workflows/bad.hcl': mistakes })
    const ended = await resile(['dev', '--project', bad, '--data', temporaryDirectory(), '--port', '0'])
    expect(ended.code).toBe(1)
    expect(said(ended)).toContain('workflows/bad.hcl:1:21')
    expect(ended.stdout).not.toContain('resile ready')
  })

  test('directory without a project → refused', async () => {
    const ended = await resile(['check', '--project', temporaryDirectory()])
    expect([1, 2]).toContain(ended.code)
    expect(said(ended)).toContain('coordinator.hcl')
  })
})

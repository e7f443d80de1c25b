import { once } from 'node:events'
import { mkdir, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { documentSchema } from '../../shared/config.ts'
import { formatDiagnostic } from './check.ts'
import { loadProject } from './project.ts'
import { code, coordinator, detector, directory, load, onNode, worker } from './test-support.ts'

const library = resolve(import.meta.dirname, '../../workflows')

test('project: all kinds of files → loaded', async () => {
  const { errors, warnings, project, dir } = await load({
    'coordinator.hcl': `${coordinator}server_config {\n  route_rule {\n    name = "all"\n    method = "GET"\n    route_patterns = ["/*"]\n  }\n}\n`,
    'worker.hcl': worker,
    'detectors.hcl': detector('sick', 'restart-service'),
    'workflows/restart-service.hcl': `${onNode}valid_for = "5m"\nconstraint {\n  kind = "concurency"\n  value = "1"\n}\n`,
    'workflows/restart-service.ts': code,
    'workflows/helper.ts': 'not even TypeScript',
    'workflows/.hidden.hcl': 'nonsense',
  })
  expect({ errors, warnings }).toEqual({ errors: [], warnings: [] })
  expect(project).toMatchObject({
    dir,
    coordinator: { datacenter: 'dc1', temporal: { namespace: 'default' } },
    worker: { node: 'web-1' },
    commands: { restart: { argv: ['true'], timeout: 30_000 } },
    detectors: { sick: { workflow: 'restart-service', interval: 1000 } },
    workflows: {
      'restart-service': {
        workflowType: 'restartService',
        file: 'workflows/restart-service.hcl',
        code: join(dir, 'workflows/restart-service.ts'),
        config: { valid_for: 300_000, constraint: [{ kind: 'concurrency', value: 1 }] },
      },
    },
  })
})

test('project: interpolation in detectors → told from text that looks like it', async () => {
  const text = detector('x', 'a', 'input = { a = "$${value} of ${ value } %%{x}", b = { c = ["${labels.node}"] } }')
  const { project } = await load({ 'coordinator.hcl': coordinator, 'detectors.hcl': text })
  expect(project?.detectors['x']?.input).toEqual({ a: '$${value} of ${value} %{x}', b: { c: ['${labels.node}'] } })
})

test('project: compiled document → read back equal by the coordinator', async () => {
  const files = {
    'coordinator.hcl': coordinator,
    'workflows/a.hcl': `${onNode}timeout = "90s"\nconstraint {\n  kind = "concurency"\n  value = "2"\n}\ninput "x" {\n  type = "string"\n  default = "y"\n}\n`,
    'workflows/b.hcl': 'task_queue_target = "datacenter"\n',
  }
  const { project } = await load(files)
  const document = project?.document
  expect(document).toMatchObject({
    development: true,
    workflows: { a: { timeout: '90s', constraint: [{ kind: 'concurency', value: '2' }] } },
  })
  expect(document?.hash).toMatch(/^[0-9a-f]{16}$/)
  const read = documentSchema.parse(JSON.parse(JSON.stringify(document)))
  expect(read.coordinator).toEqual(project?.coordinator)
  expect(read.workflows).toEqual({ a: project?.workflows['a']?.config, b: project?.workflows['b']?.config })

  const reordered = await load({ ...files, 'workflows/b.hcl': '# the same\ntask_queue_target = "datacenter"\n' })
  expect(reordered.project?.document.hash).toBe(document?.hash)
  const changed = await load({ ...files, 'workflows/b.hcl': 'task_queue_target = "node"\n' })
  expect(changed.project?.document.hash).not.toBe(document?.hash)
})

test('project: several files with errors → all errors', async () => {
  const { errors, project } = await load({
    'coordinator.hcl': 'datacenters = ["ams", "fra"]\nportt = 1\n',
    'worker.hcl': 'node = "web-1"\n',
    'detectors.hcl': 'detector "x" {\n  interval = "0s"\n  workflow = "w"\n}\n',
    'workflows/a.hcl': 'mode = "automatic"\ntask_queue_target = "node"\n',
    'workflows/b.hcl': 'task_queue_target = "host"\n',
  })
  expect(project).toBeNull()
  expect(errors).toEqual([
    'coordinator.hcl:2:1: portt: unknown key (permitted: datacenter, datacenters, server_config, temporal, webhook, slack, receiver, permits)',
    'detectors.hcl:1:1: detector.x: needs a source (permitted: http_check, prometheus, tcp_check, command_check, log, journal, schedule, alert, pagerduty, cloudevent)',
    'detectors.hcl:2:14: detector.x.interval: must be at least 100ms',
    'worker.hcl:1:1: datacenter: is required',
    'workflows/a.hcl:1:8: mode: unknown value "automatic" (permitted: auto, approve, shadow)',
    'workflows/b.hcl:1:21: task_queue_target: unknown target (permitted: node, node_type, node_type:<type>, datacenter)',
  ])
})

test('project: global limit → accepted with several datacenters', async () => {
  const global = `${onNode}constraint {\n  kind = "maxExecution"\n  value = 1\n  period = "1h"\n  is_global = true\n}\n`
  expect((await load({ 'coordinator.hcl': 'datacenters = ["a", "b"]', 'workflows/a.hcl': global })).errors).toEqual([])
})

describe('project files of the wrong type', () => {
  test.each<[string, Record<string, string | Uint8Array | null>, string]>([
    ['no coordinator.hcl', {}, 'coordinator.hcl:1:1: file: is required, but does not exist'],
    ['a directory', { 'coordinator.hcl': null }, 'coordinator.hcl:1:1: file: is a directory'],
    [
      'a directory among workflows',
      { 'coordinator.hcl': coordinator, 'workflows/x.hcl': null },
      'workflows/x.hcl:1:1: file: is a directory',
    ],
    [
      'a file instead of a directory',
      { 'coordinator.hcl': coordinator, workflows: '' },
      "workflows:1:1: file: can't be read: ENOTDIR",
    ],
    [
      'not UTF-8',
      { 'coordinator.hcl': Buffer.from('datacenter = "\xe9"', 'latin1') },
      'coordinator.hcl:1:15: file: is not UTF-8 text',
    ],
    [
      'too large',
      { 'coordinator.hcl': `${coordinator}#${'x'.repeat(65_536)}` },
      'coordinator.hcl:1:1: file: is larger than 64 kB',
    ],
    [
      'a stem that is no name',
      { 'coordinator.hcl': coordinator, 'workflows/Restart.hcl': onNode },
      'workflows/Restart.hcl:1:1: file: its stem is not a name: [a-z0-9][a-z0-9._-]{0,62} without ".."',
    ],
    [
      "a workflow type that is another workflow's",
      {
        'coordinator.hcl': coordinator,
        'workflows/restart-service.hcl': onNode,
        'workflows/x.hcl': `${onNode}workflow_type = "restartService"\n`,
        'workflows/x.ts': code,
      },
      'workflows/x.hcl:2:1: workflow_type: restartService is already the type of workflows/restart-service.hcl, which has other code',
    ],
    [
      'a stem that no function can have',
      { 'coordinator.hcl': coordinator, 'workflows/2nd.hcl': onNode },
      'workflows/2nd.hcl:1:1: workflow_type: is required: no function can have the default name 2nd',
    ],
  ])('%s → error', async (_, files, error) => {
    const { errors, project } = await load(files)
    expect(errors).toEqual([error])
    expect(project).toBeNull()
  })

  test('project: byte order mark and CRLF → accepted', async () => {
    const { errors, project } = await load({ 'coordinator.hcl': '\uFEFF# x\r\ndatacenter = "dc1"\r\n' })
    expect(errors).toEqual([])
    expect(project?.coordinator.datacenter).toBe('dc1')
  })

  test('project: socket or pipe → not waited for', async () => {
    const dir = await directory({ 'coordinator.hcl': coordinator })
    const server = createServer().listen(join(dir, 'worker.hcl'))
    await once(server, 'listening')
    const { errors } = await loadProject(dir, { development: true })
    expect(errors).toMatchObject([{ file: 'worker.hcl', message: 'is a special file' }])
    server.close()
  })

  test('project: dangling link or missing directory → error', async () => {
    const dir = await directory({ 'coordinator.hcl': coordinator })
    await mkdir(join(dir, 'workflows'))
    await symlink('nowhere', join(dir, 'workflows/x.hcl'))
    expect((await loadProject(dir, { development: true })).errors).toMatchObject([
      { file: 'workflows/x.hcl', key: 'file' },
    ])
    const none = await loadProject(join(dir, 'none'), { development: true })
    expect(none.errors.map((error) => formatDiagnostic(error))).toEqual([
      `.:1:1: file: ${join(dir, 'none')} can't be read: ENOENT`,
    ])
  })
})

describe('code of a workflow', () => {
  const check = async (name: string, files: Record<string, string>) => {
    const { errors, warnings, project, dir } = await load({ 'coordinator.hcl': coordinator, ...files })
    expect(errors).toEqual([])
    return { warnings, code: project?.workflows[name]?.code, dir }
  }

  test('built-in library → found', async () => {
    const { code, warnings } = await check('restart-service', { 'workflows/restart-service.hcl': onNode })
    expect(code).toBe(join(library, 'restart-service.ts'))
    expect(warnings).toEqual([])
  })

  test('missing → warning', async () => {
    const { code, warnings } = await check('x', { 'workflows/x.hcl': onNode })
    expect(code).toBeNull()
    expect(warnings).toEqual([
      'workflows/x.hcl:1:1: workflow_type: warning: no code: there is no workflows/x.ts, and no built-in workflow of this name',
    ])
  })

  test('exports another function → warning, library not used instead', async () => {
    const files = {
      'workflows/restart-service.hcl': `${onNode}workflow_type = "restart"\n`,
      'workflows/restart-service.ts': `${code}export const x = 1`,
    }
    const { code: found, warnings } = await check('restart-service', files)
    expect(found).toBeNull()
    expect(warnings).toEqual([
      'workflows/restart-service.hcl:2:1: workflow_type: warning: no code: workflows/restart-service.ts exports no function restart (it exports restartService, x)',
    ])
  })

  test('re-exported from another file → found', async () => {
    const files = {
      'workflows/x.hcl': `${onNode}workflow_type = "restartService"`,
      'workflows/x.ts': "export * from './lib.ts'",
      'workflows/lib.ts': code,
    }
    const { code: found, warnings, dir } = await check('x', files)
    expect({ found, warnings }).toEqual({ found: join(dir, 'workflows/x.ts'), warnings: [] })
  })

  test('exports only a type → warning', async () => {
    const { code } = await check('x', { 'workflows/x.hcl': onNode, 'workflows/x.ts': 'export type x = 1\n' })
    expect(code).toBeNull()
  })

  test('syntax error → error', async () => {
    const { code, warnings } = await check('x', {
      'workflows/x.hcl': onNode,
      'workflows/x.ts': 'export function x() {\n  let = ;\n}\n',
    })
    expect(code).toBeNull()
    expect(warnings).toEqual([expect.stringMatching(/^workflows\/x\.ts:2:\d+: code: warning: (Expected|Unexpected) /)])
  })
})

test('project: overlays → add commands and detectors', async () => {
  const overlay = await directory({
    'worker.hcl': 'command "break" { argv = ["false"] }\n',
    'detectors.hcl': detector('sample', 'restart-service'),
  })
  const files = {
    'coordinator.hcl': coordinator,
    'worker.hcl': worker,
    'detectors.hcl': detector('sick', 'restart-service'),
    'workflows/restart-service.hcl': onNode,
  }
  const { errors, project } = await load(files, [overlay])
  expect(errors).toEqual([])
  expect(Object.keys(project?.commands ?? {})).toEqual(['restart', 'break'])
  expect(Object.keys(project?.detectors ?? {})).toEqual(['sick', 'sample'])
  expect(Object.keys(project?.worker?.command ?? {})).toEqual(['restart'])

  const clashing = await directory({ 'worker.hcl': '\ncommand "restart" { argv = ["false"] }\n' })
  const clashes = await load(files, [overlay, clashing, join(overlay, 'none')])
  expect(clashes.project).toBeNull()
  expect(clashes.errors).toEqual([
    expect.stringMatching(/none:1:1: file: can't be read: ENOENT$/),
    expect.stringMatching(/\/worker\.hcl:2:9: command\.restart: is defined already, in worker\.hcl$/),
  ])
})

describe('escalation', () => {
  const receiver = 'receiver "oncall" {\n  alertmanager { url = "http://127.0.0.1:9093" }\n}\n'
  const escalating = (to: string) => `${onNode}escalation {\n  receiver = "${to}"\n}\n`

  test('receiver configured → accepted', async () => {
    const { errors, project } = await load({
      'coordinator.hcl': `${coordinator}${receiver}`,
      'workflows/restart-service.hcl': escalating('oncall'),
    })
    expect(errors).toEqual([])
    expect(project?.workflows['restart-service']?.config.escalation).toEqual({ receiver: 'oncall' })
  })

  test('receiver missing → error at its place', async () => {
    const { errors, project } = await load({
      'coordinator.hcl': `${coordinator}${receiver}${receiver.replace('oncall', 'mail')}`,
      'workflows/a.hcl': escalating('oncal'),
      'workflows/b.hcl': escalating('nobody'),
    })
    expect(errors).toEqual([
      'workflows/a.hcl:3:14: escalation.receiver: no such receiver; did you mean "oncall"? (permitted: oncall, mail)',
      'workflows/b.hcl:3:14: escalation.receiver: no such receiver (permitted: oncall, mail)',
    ])
    expect(project).toBeNull()
    expect((await load({ 'coordinator.hcl': coordinator, 'workflows/a.hcl': escalating('oncall') })).errors).toEqual([
      'workflows/a.hcl:3:14: escalation.receiver: no such receiver: coordinator.hcl has none',
    ])
  })

  test('coordinator.hcl with errors → no further error', async () => {
    const { errors } = await load({
      'coordinator.hcl': `${coordinator}${receiver.replace('http:', 'htp:')}`,
      'workflows/a.hcl': escalating('oncall'),
    })
    expect(errors).toEqual([
      'coordinator.hcl:3:24: receiver.oncall.alertmanager.url: expected an http:// or https:// URL',
    ])
  })
})

test('project: doubtful settings → warnings', async () => {
  const { errors, warnings, project } = await load({
    'coordinator.hcl': coordinator,
    'detector.hcl': '',
    'detectors.hcl': [
      detector('a', 'restart-servcie'),
      detector('b', 'restart-service', 'target { node_type = "web" }'),
      detector('c', 'restart-service', ''),
      detector('d', 'on-type', 'target { node_type = "web" }'),
      // These fit, but for the label.
      detector('e', 'on-type', ''),
      detector('f', 'on-type', 'target { node_type = "${labels.type}" }'),
      detector('g', 'restart-service', 'target {\n    node = "web-1"\n    datacenter = "dc1"\n  }'),
    ].join(''),
    'workflows/restart-service.hcl': onNode,
    'workflows/on-type.hcl': 'task_queue_target = "node_type:database"',
    'workflows/on-type.ts': 'export function onType() {}',
  })
  expect(errors).toEqual([])
  expect(project).not.toBeNull()
  expect(warnings).toEqual([
    'detector.hcl:1:1: file: warning: is not read; did you mean detectors.hcl? (permitted: coordinator.hcl, detectors.hcl, worker.hcl, workflows/<name>.hcl)',
    'detectors.hcl:2:14: detector.a.workflow: warning: no such workflow; did you mean "restart-service"? (permitted: on-type, restart-service)',
    'detectors.hcl:10:3: detector.b.target: warning: node_type does not fit the workflow: restart-service has task_queue_target = "node"',
    'detectors.hcl:13:1: detector.c.target: warning: needs node: restart-service has task_queue_target = "node"',
    'detectors.hcl:22:3: detector.d.target: warning: node_type "web" does not fit the workflow: on-type has task_queue_target = "node_type:database"',
    'detectors.hcl:34:3: detector.f.target: warning: labels.type is never there: this source has no labels',
  ])
})

test("project: the repository's own → valid", async () => {
  const { errors, warnings } = await loadProject(resolve(library, '..'), { development: true })
  expect({ errors, warnings }).toEqual({ errors: [], warnings: [] })
})

test.each([
  ['identifiers = ["systemd"]', 1],
  ['fields = { SYSLOG_IDENTIFIER = "systemd" }', 1],
  ['identifiers = ["systemd"]\n fields = { _UID = "0" }', 0],
  ['units = ["app.service"]', 0],
  ['kernel = true', 0],
])('project: journal source with %j → %i warnings of entries that any user can write', async (selection, count) => {
  const journal = `journal {\n ${selection}\n pattern = "x"\n}`
  const { errors, warnings } = await load({
    'coordinator.hcl': coordinator,
    'detectors.hcl': `detector "d" {\n workflow = "restart-service"\n target { node = "web-1" }\n ${journal}\n}`,
    'workflows/restart-service.hcl': onNode,
    'workflows/restart-service.ts': code,
  })
  expect(errors).toEqual([])
  const expected = 'detectors.hcl:4:2: detector.d.journal: warning: any local user can write entries'
  expect(warnings).toEqual(Array.from({ length: count }, () => expect.stringContaining(expected) as string))
})

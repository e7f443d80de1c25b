import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { loadProject } from './project.ts'

/** The warnings about a detector with this content. */
async function warningsOf(content: string): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'resile-links-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  await mkdir(join(directory, 'workflows'))
  const files = {
    'coordinator.hcl': 'datacenter = "dc1"\n',
    'worker.hcl': `node = "web-1"
      datacenter = "dc1"
      command "restart" {
        argv      = ["/bin/true"]
        workflows = ["restart-service"]
      }
      `,
    'workflows/restart-service.hcl': `task_queue_target = "node"
      input "command" { type = "string" }
      input "next" { type = "object" }
      input "count" { type = "number" }
      `,
    'detectors.hcl': `detector "d" {
      workflow = "restart-service"
      ${content}
    }
    `,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  const { errors, warnings } = await loadProject(directory, { development: true })
  expect(errors).toEqual([])
  return warnings.filter(({ file }) => file === 'detectors.hcl').map(({ message }) => message)
}

const log = (pattern: string): string => `log {
  files   = ["/var/log/app.log"]
  pattern = "${pattern}"
}`
const onNode = 'target { node = "web-1" }'

it.each([
  ['fits', `${onNode}\n input = { command = "restart", count = "\${labels.n}" }\n ${log('(?P<n>[0-9]+)')}`],
  ['label by its index', `target { node = "\${labels["n"]}" }\n ${log('(?P<n>[a-z]+)')}`],
  ['placeholder that is escaped', `${onNode}\n input = { command = "$\${labels.x}" }\n ${log('x')}`],
])('detector that %s → no warning', async (_, content) => {
  expect(await warningsOf(content)).toEqual([])
})

it.each([
  ['unknown input', `${onNode}\n input = { comand = "restart" }\n ${log('x')}`, 'the workflow has no such input'],
  ['input of another type', `${onNode}\n input = { count = "many" }\n ${log('x')}`, 'must be of type number'],
  ['unknown command', `${onNode}\n input = { command = "restrat" }\n ${log('x')}`, 'no command restrat; did you mean'],
  [
    'unknown command as the next one',
    `${onNode}\n input = { command = "restart", next = { command = "wipe" } }\n ${log('x')}`,
    'no command wipe',
  ],
  ['label that no group has', `target { node = "\${labels.host}" }\n ${log('(?P<n>x)')}`, 'labels.host is never there'],
  [
    'label of a check',
    `target { node = "\${labels.host}" }\n interval = "1m"\n tcp_check { address = "127.0.0.1:1" }`,
    'this source has no labels',
  ],
  [
    'query that returns 0 or 1',
    `${onNode}\n interval = "1m"\n prometheus {\n url = "http://127.0.0.1:9090"\n query = "up == bool 0"\n }`,
    'compare without bool',
  ],
  [
    'datacenter that is nowhere',
    `target {\n node = "web-1"\n datacenter = "dc2"\n }\n ${log('x')}`,
    'no such datacenter',
  ],
])('%s → warning', async (_, content, expected) => {
  expect(await warningsOf(content)).toEqual([expect.stringContaining(expected)])
})

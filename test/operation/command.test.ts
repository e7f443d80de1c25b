import { existsSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Dev, startDev } from '../support/dev.ts'
import { napping, repository, temporaryDirectory, workflow, writeProject } from '../support/files.ts'
import type { Decision, Execution, List, Problem, Started } from '../support/http.ts'
import { freePort } from '../support/ports.ts'
import { type Ended, resile, run, startResile } from '../support/processes.ts'
import { until } from '../support/until.ts'

const anywhere = 'task_queue_target = "datacenter"'
const project = writeProject({
  ...napping('nap', anywhere),
  ...napping('node-nap', 'task_queue_target = "node"'),
  ...napping('type-nap', 'task_queue_target = "node_type"'),
  ...napping('never', `${anywhere}\nconstraint {\n  kind = "maxExecution"\n  value = 0\n  period = "1h"\n}`),
  ...workflow(
    'fail',
    anywhere,
    "export async function fail() { throw ApplicationFailure.nonRetryable('the disk is full') }",
  ),
})

let dev: Dev
beforeAll(async () => {
  dev = await startDev({ project, nodes: ['web-1:web'] })
})

const said = ({ stdout, stderr }: Ended) => stdout + stderr
/** What `--json` printed, which has to be the body of the same request by HTTP, byte for byte. */
const printed = <T>({ stdout }: Ended) => JSON.parse(stdout) as T
const withoutNewline = (text: string) => text.replace(/\n$/, '')
const started = async (...args: string[]) => {
  const ended = await dev.resile('trigger', ...args, '--json')
  expect(ended).toMatchObject({ code: 0 })
  return printed<Started>(ended)
}

describe('resile trigger', () => {
  test('admitted → exit code 0', async () => {
    const ended = await dev.resile('trigger', 'nap', '--reason', 'by hand')
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    const { body } = await dev.call<List<Execution>>('/v1/executions?workflow=nap&limit=1')
    expect(ended.stdout).toContain(body.items[0]?.id)
  })

  test('flags → sent as request fields', async () => {
    const input = { ms: 5 }
    const flags = ['--input', JSON.stringify(input), '--reason', 'by hand', '--idempotency-key', 'k1']
    const { execution, decision } = await started('node-nap', '--node', 'web-1', ...flags)
    expect(execution).toMatchObject({ workflow: 'node-nap', target: { node: 'web-1' }, task_queue: 'dc1:node:web-1' })
    expect(decision).toMatchObject({ reason: 'by hand', caller: 'spiffe://resile.local/operator' })
    const again = await dev.resile('trigger', 'node-nap', '--node', 'web-1', ...flags, '--json')
    expect(again.code).toBe(0)
    expect(again.stdout).toContain(execution.id)
    expect(await dev.reaches(execution.id, 'completed')).toMatchObject({ result: { slept: 5 } })
    expect((await started('type-nap', '--node-type', 'web')).execution.task_queue).toBe('dc1:type:web')
    expect((await started('nap', '--datacenter', 'dc1')).execution.task_queue).toBe('dc1')
  })

  test('denied → exit code 3 with the receipt', async () => {
    const ended = await dev.resile('trigger', 'never')
    expect(ended.code).toBe(3)
    expect(said(ended)).toContain('maxExecution')
    const asJson = await dev.resile('trigger', 'never', '--json')
    expect(asJson.code).toBe(3)
    expect(printed<Problem>(asJson)).toMatchObject({
      status: 429,
      code: 'constraint_denied',
      decision: { workflow: 'never' },
    })
  })

  test.each([
    ['an unknown workflow', ['no-such'], 'unknown_workflow'],
    ['a target that does not fit', ['node-nap'], 'invalid_target'],
    ['a node that is not there', ['node-nap', '--node', 'nowhere'], 'no_worker'],
    ['a name that is none', ['../executions'], /not_found|unknown_workflow/],
    ['a name with a slash', ['nap/executions?x='], /not_found|unknown_workflow/],
  ])('%s → exit code 1', async (_, args, code) => {
    const ended = await dev.resile('trigger', ...args)
    expect(ended).toMatchObject({ code: 1 })
    expect(ended.stderr).toMatch(/./)
    const asJson = await dev.resile('trigger', ...args, '--json')
    expect(asJson.code).toBe(1)
    expect(printed<Problem>(asJson).code).toMatch(code)
  })

  test('--wait → waits for the end and prints it', async () => {
    const well = await dev.resile('trigger', 'nap', '--input', '{"ms": 1500}', '--wait')
    expect(well.code).toBe(0)
    expect(said(well)).toContain('completed')
    expect(well.stderr).toMatch(/running +nap on/)
    const badly = await dev.resile('trigger', 'fail', '--wait')
    expect(badly.code).toBe(1)
    expect(said(badly)).toContain('the disk is full')
  })

  test('--wait --json → one document, the execution at its end', async () => {
    const ended = await dev.resile('trigger', 'nap', '--wait', '--json')
    expect(ended.code).toBe(0)
    expect(ended.stdout).toMatch(/"status":\s*"completed"/)
    expect(() => printed(ended)).not.toThrow()
  })

  test('Ctrl-C while waiting → exit code 130, the execution goes on', async () => {
    const reason = 'interrupted'
    const args = ['trigger', 'nap', '--input', '{"ms": 60000}', '--reason', reason, '--wait']
    const waiting = startResile([...args, '--project', dev.project, '--data', dev.data])
    const decision = await until('it has started', async () => {
      const { body } = await dev.call<List<Decision>>('/v1/decisions?workflow=nap&limit=5')
      return body.items.find((item) => item.reason === reason)
    })
    await dev.reaches(decision.id, 'running')
    waiting.interrupt()
    const { code, stderr } = await waiting.ended
    expect(code).toBe(130)
    expect(stderr).toContain(`resile executions ${decision.id} --wait`)
    expect(await dev.execution(decision.id)).toMatchObject({ status: 'running' })
    // As the message says, it can be followed further; here something else ends it.
    const following = startResile(['executions', decision.id, '--wait', '--project', dev.project, '--data', dev.data])
    await until('it is followed', () => following.said.stderr.includes('running'))
    expect(await dev.resile('cancel', decision.id)).toMatchObject({ code: 0 })
    expect(await following.ended).toMatchObject({ code: 1, stdout: expect.stringContaining('canceled') })
  })
})

describe('lists', () => {
  test.each([
    ['executions', '/v1/executions'],
    ['decisions', '/v1/decisions'],
  ])('resile %s --json → the HTTP body unchanged', async (verb, path) => {
    await dev.ran('nap')
    // What runs may end between the two requests.
    await until(
      'both are the same',
      async () => {
        const { code, stdout } = await dev.resile(verb, '--json')
        return code === 0 && withoutNewline(stdout) === withoutNewline((await dev.call(path)).text)
      },
      { within: 15_000 },
    )
  })

  test('one item --json → the HTTP body unchanged', async () => {
    const { id } = await dev.ran('nap')
    for (const verb of ['executions', 'decisions']) {
      const { code, stdout } = await dev.resile(verb, id, '--json')
      expect(code).toBe(0)
      expect(withoutNewline(stdout)).toBe(withoutNewline((await dev.call(`/v1/${verb}/${id}`)).text))
    }
  })

  test('without --json → a line for each item', async () => {
    const { id } = await dev.ran('nap')
    for (const verb of ['executions', 'decisions']) {
      const ended = await dev.resile(verb)
      expect(ended).toMatchObject({ code: 0, stderr: '' })
      expect(ended.stdout).toContain(id)
      expect((await dev.resile(verb, id)).stdout).toContain(id)
    }
    expect((await dev.resile('executions', id)).stdout).toContain('completed')
    expect((await dev.resile('nodes')).stdout).toContain('web-1')
    expect(printed<List<unknown>>(await dev.resile('nodes', '--json')).items).toHaveLength(1)
  })

  test('unknown id → exit code 1', async () => {
    for (const verb of ['executions', 'decisions', 'cancel']) {
      for (const id of ['01912d68-783e-7a03-8467-5661c1243ad4', 'no-id', '../nodes', '..']) {
        const ended = await dev.resile(verb, id, '--json')
        expect({ verb, id, code: ended.code }).toEqual({ verb, id, code: 1 })
        expect(printed<Problem>(ended)).toMatchObject({ status: 404, code: 'not_found' })
      }
    }
  })
})

describe('resile cancel', () => {
  test('running execution → canceled; second time refused', async () => {
    const { execution } = await started('nap', '--input', '{"ms": 60000}')
    expect(await dev.resile('cancel', execution.id)).toMatchObject({ code: 0 })
    await dev.reaches(execution.id, 'canceled')
    const again = await dev.resile('cancel', execution.id, '--json')
    expect(again.code).toBe(1)
    expect(printed<Problem>(again)).toMatchObject({ status: 409, code: 'already_closed' })
  })
})

describe('choice of coordinator', () => {
  const nodes = async (args: string[], env: NodeJS.ProcessEnv = {}) =>
    resile(['nodes', '--json', ...args], { cwd: temporaryDirectory(), env: { ...process.env, ...env } })

  test('--coordinator, else $RESILE_COORDINATOR, else the local one → asked in this order', async () => {
    expect(printed<List<unknown>>(await nodes(['--coordinator', dev.coordinator])).items).toHaveLength(1)
    expect(printed<List<unknown>>(await nodes([], { RESILE_COORDINATOR: dev.coordinator })).items).toHaveLength(1)
    const closed = `http://127.0.0.1:${await freePort()}`
    expect(await nodes(['--coordinator', dev.coordinator], { RESILE_COORDINATOR: closed })).toMatchObject({ code: 0 })
    expect(await nodes(['--coordinator', closed], { RESILE_COORDINATOR: dev.coordinator })).toMatchObject({ code: 4 })
    const local = await resile(['nodes', '--json', '--data', dev.data], { cwd: dev.project })
    expect(printed<List<unknown>>(local).items).toHaveLength(1)
  })

  test('no answer → exit code 4', async () => {
    const closed = `http://127.0.0.1:${await freePort()}`
    for (const args of [['nodes'], ['executions'], ['decisions'], ['trigger', 'nap'], ['cancel', 'x']]) {
      const ended = await resile([...args, '--coordinator', closed])
      expect({ args, code: ended.code, stdout: ended.stdout }).toEqual({ args, code: 4, stdout: '' })
      expect(ended.stderr).toMatch(/./)
    }
    // No local coordinator runs here.
    expect(await nodes([])).toMatchObject({ code: 4, stdout: '' })
  })
})

describe('command line', () => {
  test.each([
    [[]],
    [['no-such-verb']],
    [['nodes', '--no-such-flag']],
    [['trigger']],
    [['trigger', 'nap', 'more']],
    [['trigger', 'nap', '--input', '{']],
    [['trigger', 'nap', '--input', '[]']],
    [['trigger', 'nap', '--input']],
    [['cancel']],
    [['nodes', '--coordinator', 'not a url']],
    [['dev', '--port', 'many']],
    [['dev', '--port', '70000']],
    [['dev', '--node', 'Web 1']],
    [['dev', '--node', 'web-1:']],
    [['dev', '--temporal-address', '127.0.0.1:1']],
    [['check', '--no-such-flag']],
  ])('%j → exit code 2 with the reason', async (args) => {
    const cwd = writeProject({})
    const ended = await resile(args, { cwd })
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code: 2, stdout: '' })
    expect(ended.stderr).toMatch(/./)
    expect(ended.stderr).not.toMatch(/^\s+at /m)
  })

  test.each(['dev', 'worker', 'detector', 'check', 'trigger', 'executions', 'decisions', 'nodes', 'cancel'])(
    'resile %s --help → explains it',
    async (verb) => {
      const ended = await resile([verb, '--help'])
      expect(ended).toMatchObject({ code: 0, stderr: '' })
      expect(ended.stdout).toContain(`resile ${verb}`)
      expect(ended.stdout).toMatch(/Usage/)
    },
  )

  test('--help alone → all verbs and the exit codes', async () => {
    const ended = await resile(['--help'])
    expect(ended.code).toBe(0)
    for (const verb of [
      'dev',
      'worker',
      'detector',
      'check',
      'trigger',
      'executions',
      'decisions',
      'nodes',
      'cancel',
    ]) {
      expect(ended.stdout).toMatch(new RegExp(`^  ${verb}\\b`, 'm'))
    }
  })
})

describe("under the system's own Node", () => {
  const found = systemNode()
  const title = found === undefined ? ' (skipped: no other Node is on the PATH)' : ` (${found})`
  const underIt = async (...args: string[]) => {
    const path = [join(found ?? '', '..'), '/usr/bin', '/bin'].join(':')
    const home = temporaryDirectory()
    return run('/usr/bin/env', ['-i', `PATH=${path}`, `HOME=${home}`, 'node', 'bin/resile.mjs', ...args]).ended
  }

  test.skipIf(found === undefined)(`bin/resile.mjs → same results${title}`, async () => {
    expect(await underIt('check', '--project', project)).toMatchObject({ code: 0 })
    const nodes = await underIt('nodes', '--json', '--coordinator', dev.coordinator)
    expect(nodes).toMatchObject({ code: 0, stderr: '' })
    expect(printed<List<unknown>>(nodes).items).toHaveLength(1)
    expect(await underIt('trigger', 'never', '--coordinator', dev.coordinator)).toMatchObject({ code: 3 })
    expect(await underIt('trigger')).toMatchObject({ code: 2 })
  })

  test.skipIf(found === undefined)(`npx resile → same results${title}`, async () => {
    const path = [join(found ?? '', '..'), '/usr/bin', '/bin'].join(':')
    const args = ['-i', `PATH=${path}`, `HOME=${temporaryDirectory()}`, 'npx', 'resile', 'nodes', '--json']
    const ended = await run('/usr/bin/env', [...args, '--coordinator', dev.coordinator]).ended
    expect(ended.code).toBe(0)
    expect(printed<List<unknown>>(ended).items).toHaveLength(1)
  })
})

/** The first Node on the PATH that is not one of the repository's. */
function systemNode(): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((file) => existsSync(file) && !realpathSync(file).startsWith(realpathSync(repository)) && !isThisNode(file))
}

function isThisNode(file: string): boolean {
  return realpathSync(file) === realpathSync(process.execPath)
}

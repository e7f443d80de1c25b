import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createSocketServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { balancerByCommand } from './by-command.ts'
import { haproxy, readServerStates } from './haproxy.ts'
import { httpHook } from './http-hook.ts'

/** As HAProxy 2.6 prints it, with fewer columns. */
const STAT = `# pxname,svname,qcur,scur,status,weight,bck,type,
web,web-1,0,3,UP,1,0,2,
web,web-2,0,0,DRAIN,0,0,2,
web,web-3,0,1,UP 1/3,1,0,2,
web,web-4,0,0,DOWN,1,0,2,
web,web-5,0,0,MAINT (via web/web-1),1,0,2,
web,web-6,0,0,no check,1,0,2,
web,web-7,0,0,DOWN,0,0,2,
web,web-8,0,0,UP,0,0,2,
web,web-9,0,0,UP,1,1,2,
web,web-10,0,0,DOWN 1/2,1,0,2,
web,web-11,0,0,NOLB 1/2,1,0,2,
web,BACKEND,0,4,UP,3,0,1,
other,web-1,0,9,UP,1,0,2,

`

/** Name, operational state, administrative state, weight and result of the last health check. */
const STATES: [string, number, number, number, number][] = [
  ['web-1', 2, 0, 1, 3],
  ['web-2', 2, 0x08, 1, 3],
  ['web-3', 2, 0, 1, 2],
  ['web-4', 0, 0, 1, 2],
  ['web-5', 0, 0x02, 1, 3],
  ['web-6', 2, 0x04, 1, 0],
  ['web-7', 0, 0x08, 1, 2],
  ['web-8', 2, 0, 0, 3],
  ['web-9', 2, 0, 1, 3],
  ['web-10', 0, 0, 1, 3],
  ['web-11', 3, 0, 1, 4],
]
const states = (rows = STATES): string => `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_check_result
${rows.map(([name, ...facts], index) => `3 web ${index} ${name} 127.0.0.1 ${facts.join(' ')}`).join('\n')}

`
/** Answers both questions. */
const answers =
  (stat: string, rows = STATES) =>
  (command: string) =>
    command.startsWith('show stat') ? stat : states(rows)

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'resile-lb-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

/** A runtime API that takes down what it is told, and answers. */
async function runtimeApi(answer: (command: string) => string): Promise<{ address: string; told: string[] }> {
  const told: string[] = []
  const server = createSocketServer((socket) => {
    socket.once('data', (chunk) => {
      told.push(chunk.toString().trim())
      socket.end(answer(chunk.toString().trim()))
    })
  })
  const path = join(await directory(), 'admin.sock')
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => void server.close())
  return { address: `unix:${path}`, told }
}

describe('HAProxy', () => {
  it('printed states → read', () => {
    const servers = readServerStates(STAT, states(), 'web')
    expect(servers.map(({ name, inRotation, serving, state }) => [name, inRotation, serving, state])).toEqual([
      ['web-1', true, true, 'UP'],
      ['web-2', false, false, 'DRAIN'],
      ['web-3', true, true, 'UP 1/3'],
      ['web-4', true, false, 'DOWN'],
      ['web-5', false, false, 'MAINT (via web/web-1)'],
      // Once disabled by the configuration, and enabled since.
      ['web-6', true, true, 'no check'],
      ['web-7', false, false, 'DOWN, drained'],
      ['web-8', false, false, 'UP, weight 0'],
      ['web-9', true, false, 'UP, backup'],
      ['web-10', true, false, 'DOWN 1/2'],
      ['web-11', true, false, 'NOLB 1/2'],
    ])
    expect(servers.filter(({ rising }) => rising).map(({ name }) => name)).toEqual(['web-10'])
    expect(servers.filter(({ standby }) => standby).map(({ name }) => name)).toEqual(['web-9'])
    expect(servers[0]?.sessions).toBe(3)
  })

  it('drain and return → at each address', async () => {
    const [one, two] = [await runtimeApi(() => '\n'), await runtimeApi(() => '\n')]
    const balancer = haproxy({ addresses: [one.address, two.address], backend: 'web', timeout: 5000 })
    await balancer.setInRotation('web-1', false)
    await balancer.setInRotation('web-1', true)
    const expected = ['set server web/web-1 state drain', 'set server web/web-1 state ready']
    expect([one.told, two.told]).toEqual([expected, expected])
  })

  it('several → serves only if it serves at each', async () => {
    const one = await runtimeApi(answers(STAT))
    const drained = STATES.map((row): (typeof STATES)[number] => (row[0] === 'web-1' ? ['web-1', 2, 0x08, 1, 3] : row))
    const stat = STAT.replace('web-1,0,3,UP', 'web-1,0,4,DRAIN').replace(/web,web-6.*\n/, '')
    const two = await runtimeApi(answers(stat, drained))
    const servers = await haproxy({ addresses: [one.address, two.address], backend: 'web', timeout: 5000 }).read()
    expect(servers.find(({ name }) => name === 'web-1')).toEqual({
      name: 'web-1',
      inRotation: true,
      partly: true,
      serving: false,
      sessions: 7,
      state: 'UP, DRAIN',
    })
    expect(servers.find(({ name }) => name === 'web-6')).toMatchObject({ serving: false, state: 'no check, unknown' })
  })

  it.each([
    ['an answer that is an error', async () => (await runtimeApi(() => 'No such server.\n')).address, 'No such server'],
    ['nobody', async () => `unix:${join(await directory(), 'none')}`, 'ENOENT'],
    ['a closed port', async () => '127.0.0.1:1', 'ECONNREFUSED'],
  ])('%s → error', async (_, address, message) => {
    const balancer = haproxy({ addresses: [await address()], backend: 'web', timeout: 5000 })
    await expect(balancer.setInRotation('web-1', false)).rejects.toThrow(message)
  })

  it('no answer, or no such backend → error', async () => {
    const silent = createSocketServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`
    await expect(haproxy({ addresses: [address], backend: 'web', timeout: 200 }).read()).rejects.toThrow('200 ms')
    const other = await runtimeApi(answers(STAT))
    const wrong = haproxy({ addresses: [other.address], backend: 'nothing', timeout: 5000 })
    await expect(wrong.read()).rejects.toThrow('no servers in backend nothing')
  })
})

describe('HTTP hook', () => {
  it('read and change → with its token', async () => {
    const seen: unknown[] = []
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        seen.push([request.method, request.url, request.headers.authorization, body])
        if (request.url === '/pools/web/broken') response.writeHead(500).end('no')
        else response.end('{"servers": [{"name": "a", "in_rotation": true, "serving": false}]}')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const tokenFile = join(await directory(), 'token')
    await writeFile(tokenFile, 'secret\n')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/pools/web`
    const hook = httpHook({ url, tokenFile, timeout: 5000 })
    expect(await hook.read()).toEqual([
      { name: 'a', inRotation: true, serving: false, sessions: null, state: 'not serving' },
    ])
    await hook.setInRotation('a', false)
    await expect(hook.setInRotation('broken', false)).rejects.toThrow('status 500: no')
    expect(seen.slice(0, 2)).toEqual([
      ['GET', '/pools/web', 'Bearer secret', ''],
      ['PUT', '/pools/web/a', 'Bearer secret', '{"in_rotation":false}'],
    ])
  })
})

describe('commands', () => {
  const commands = { list: 'lb-list', drain: 'lb-drain', restore: 'lb-restore' }
  const result = (stdout: string, exitCode = 0) => ({ exitCode, stdout, stderr: '', durationMs: 1 })

  it('read and change → run by name', async () => {
    const ran: unknown[] = []
    const balancer = balancerByCommand(commands, async (name, params) => {
      ran.push([name, params])
      return result('{"servers": []}')
    })
    expect(await balancer.read()).toEqual([])
    await balancer.setInRotation('a', false)
    await balancer.setInRotation('a', true)
    expect(ran).toEqual([
      ['lb-list', {}],
      ['lb-drain', { server: 'a' }],
      ['lb-restore', { server: 'a' }],
    ])
  })

  it.each([
    ['not JSON', 'not JSON'],
    ['{"servers": [{"name": "a"}]}', 'servers.0.in_rotation'],
    ['{}', 'servers'],
    ['{"servers": [\n[12 more bytes were cut]\n', 'lb-list prints more than'],
  ])('output %j → error that is not retried', async (stdout, message) => {
    const balancer = balancerByCommand(commands, async () => result(stdout))
    const error = await balancer.read().catch((failure: unknown) => failure)
    expect(error).toMatchObject({
      type: 'PoolUnreadable',
      nonRetryable: true,
      message: expect.stringContaining(message),
    })
  })

  it('failure → error', async () => {
    const balancer = balancerByCommand(commands, async () => result('why', 3))
    await expect(balancer.setInRotation('a', false)).rejects.toThrow('lb-drain exited with 3: why')
  })
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createSocketServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { balancerByCommand } from './by-command.ts'
import { haproxy, readStat } from './haproxy.ts'
import { httpHook } from './http-hook.ts'

/** As HAProxy 2.6 prints it, with fewer columns. */
const STAT = `# pxname,svname,qcur,scur,status,weight,type,
web,web-1,0,3,UP,1,2,
web,web-2,0,0,DRAIN,0,2,
web,web-3,0,1,UP 1/3,1,2,
web,web-4,0,0,DOWN,1,2,
web,web-5,0,0,MAINT (via web/web-1),1,2,
web,web-6,0,0,no check,1,2,
web,BACKEND,0,4,UP,3,1,
other,web-1,0,9,UP,1,2,

`

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
    expect(
      readStat(STAT, 'web').map(({ name, inRotation, serving, sessions }) => [name, inRotation, serving, sessions]),
    ).toEqual([
      ['web-1', true, true, 3],
      ['web-2', false, false, 0],
      ['web-3', true, true, 1],
      ['web-4', true, false, 0],
      ['web-5', false, false, 0],
      ['web-6', true, true, 0],
    ])
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
    const one = await runtimeApi(() => STAT)
    const two = await runtimeApi(() => STAT.replace('web-1,0,3,UP', 'web-1,0,4,DRAIN').replace(/web,web-6.*\n/, ''))
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
    const other = await runtimeApi(() => STAT)
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
  ])('output %j → error', async (stdout, message) => {
    const balancer = balancerByCommand(commands, async () => result(stdout))
    await expect(balancer.read()).rejects.toThrow(message)
  })

  it('failure → error', async () => {
    const balancer = balancerByCommand(commands, async () => result('why', 3))
    await expect(balancer.setInRotation('a', false)).rejects.toThrow('lb-drain exited with 3: why')
  })
})

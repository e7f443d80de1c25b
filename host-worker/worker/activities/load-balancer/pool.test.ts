import { describe, expect, it } from 'vitest'
import type { BalancedServer, LoadBalancer } from './load-balancer.ts'
import { drainServer, type Pool, readPool, returnServer } from './pool.ts'

/** A load balancer in memory. `between` runs after each change, as when somebody else changes something too. */
function balancer(servers: BalancedServer[], between: () => void = () => undefined): LoadBalancer {
  return {
    read: async () => servers.map((server) => ({ ...server })),
    async setInRotation(name, inRotation) {
      const server = servers.find((candidate) => candidate.name === name)
      if (server === undefined) throw new Error(`no ${name}`)
      Object.assign(server, { inRotation, serving: inRotation })
      between()
    },
  }
}

function servers(...names: string[]): BalancedServer[] {
  return names.map((name) => ({ name, inRotation: true, serving: true, sessions: 0, state: 'UP' }))
}

function pool(list: BalancedServer[], more: Partial<Pool> = {}, between?: () => void): Pool {
  return { name: 'web', minServers: 1, serverNames: {}, balancer: balancer(list, between), ...more }
}

const tooFew = expect.objectContaining({ type: 'too_few_servers', nonRetryable: true })

describe('drainServer', () => {
  it('in rotation → out, by its name there', async () => {
    const list = servers('srv1', 'srv2')
    const change = await drainServer(pool(list, { serverNames: { 'web-1': 'srv1' } }), 'web-1')
    expect(change).toMatchObject({ changed: true, before: { servers: [{ node: 'web-1', inRotation: true }, {}] } })
    expect(list[0]?.inRotation).toBe(false)
  })

  it.each([
    ['the host says', { minServers: 2 }, 0],
    ['the order says', {}, 2],
    ['the host says, whatever the order says', { minServers: 2 }, 1],
  ])('fewer than %s left → refused', async (_, more, asked) => {
    const list = servers('web-1', 'web-2')
    await expect(drainServer(pool(list, more), 'web-1', asked)).rejects.toEqual(tooFew)
    expect(list.every(({ inRotation }) => inRotation)).toBe(true)
  })

  it('not serving → not counted', async () => {
    const list = servers('web-1', 'web-2', 'web-3')
    Object.assign(list[1] ?? {}, { serving: false, state: 'DOWN' })
    Object.assign(list[2] ?? {}, { serving: false, inRotation: false })
    await expect(drainServer(pool(list), 'web-1')).rejects.toMatchObject({ details: [{ left: 0, min_servers: 1 }] })
  })

  it('not serving itself → out, while enough others serve', async () => {
    const list = servers('web-1', 'web-2')
    Object.assign(list[0] ?? {}, { serving: false, state: 'DOWN' })
    expect(await drainServer(pool(list), 'web-1')).toMatchObject({ changed: true })
  })

  it('out already → unchanged', async () => {
    const list = servers('web-1', 'web-2')
    await drainServer(pool(list), 'web-1')
    expect(await drainServer(pool(list), 'web-1')).toMatchObject({ changed: false })
  })

  it('another drained at the same time → returned', async () => {
    const list = servers('web-1', 'web-2')
    let others = 0
    const between = (): void => {
      others += 1
      if (others === 1) Object.assign(list[1] ?? {}, { inRotation: false, serving: false })
    }
    await expect(drainServer(pool(list, {}, between), 'web-1')).rejects.toEqual(tooFew)
    expect(list[0]?.inRotation).toBe(true)
  })

  it('load balancer did nothing → error', async () => {
    const list = servers('web-1', 'web-2')
    const deaf = { ...balancer(list), setInRotation: async () => undefined }
    await expect(drainServer(pool(list, { balancer: deaf }), 'web-1')).rejects.toMatchObject({ type: 'NotDrained' })
  })

  it('out at one of several → out at all', async () => {
    const list = servers('web-1', 'web-2')
    Object.assign(list[0] ?? {}, { partly: true, serving: false })
    expect(await drainServer(pool(list), 'web-1')).toMatchObject({ changed: true })
    expect(list[0]?.inRotation).toBe(false)
  })

  it('no such server → error', async () => {
    await expect(drainServer(pool(servers('a', 'b')), 'web-1')).rejects.toMatchObject({
      type: 'UnknownServer',
      message: expect.stringContaining('it has a, b'),
    })
  })
})

describe('returnServer', () => {
  it('out → in, once', async () => {
    const list = servers('web-1', 'web-2')
    await drainServer(pool(list), 'web-1')
    expect(await returnServer(pool(list), 'web-1')).toMatchObject({ changed: true })
    expect(await returnServer(pool(list), 'web-1')).toMatchObject({ changed: false })
  })

  it('in already → ordered all the same', async () => {
    const list = servers('web-1', 'web-2')
    const ordered: unknown[] = []
    const own = balancer(list, () => ordered.push('ordered'))
    await returnServer(pool(list, { balancer: own }), 'web-1')
    expect(ordered).toEqual(['ordered'])
  })

  it("large pool → the node, those that don't serve, and the number of the others", async () => {
    const list = servers(...Array.from({ length: 3000 }, (_, index) => `web-${index}`))
    Object.assign(list[7] ?? {}, { serving: false, state: 'DOWN' })
    const { before } = await drainServer(pool(list), 'web-5')
    expect(before.servers.map(({ node }) => node)).toEqual(['web-5', 'web-7'])
    expect(before.omitted).toBe(2998)
    await expect(drainServer(pool(list, { minServers: 2999 }), 'web-6')).rejects.toEqual(tooFew)
    await expect(drainServer(pool(list), 'none')).rejects.toMatchObject({
      message: expect.stringMatching(/2980 more$/),
    })
  })

  it('still out at one of several → not done', async () => {
    const list = servers('web-1', 'web-2')
    Object.assign(list[0] ?? {}, { partly: true })
    await expect(returnServer(pool(list), 'web-1')).rejects.toMatchObject({ type: 'NotReturned' })
  })

  it('one server asked for → its state', async () => {
    const { servers: found } = await readPool(pool(servers('web-1', 'web-2')), { node: 'web-2' })
    expect(found.map(({ node }) => node)).toEqual(['web-2'])
  })

  it('pool → its state', async () => {
    expect(await readPool(pool(servers('web-1')))).toEqual({
      pool: 'web',
      minServers: 1,
      servers: [{ node: 'web-1', inRotation: true, serving: true, sessions: 0, state: 'UP' }],
    })
  })
})

import { expect, it } from 'vitest'
import { send } from '../testing/coordinator.ts'

const ask = (): Request => new Request('http://coordinator.test/.well-known/jwks.json')

it('JWKS → public keys only', async () => {
  const { status, body } = await send(ask())
  expect(status).toBe(200)
  expect(body.keys).toEqual([expect.objectContaining({ kid: 'test', x: expect.any(String) })])
  expect(JSON.stringify(body)).not.toContain('"d"')
})

it.each(['', 'not JSON', '{"keys": []}', '{"keys": [{"kty": "oct"}]}'])(
  'publishes no empty set when its keys are %j: workers would drop those that they trust',
  async (keys) => {
    const { status, body } = await send(ask(), undefined, { PERMIT_KEYS: keys })
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'starting' })
  },
)

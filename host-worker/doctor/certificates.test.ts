import { beforeAll, expect, it } from 'vitest'
import { type TestAuthority, type TestLeaf, testAuthority } from '../../test/support/certificates.ts'
import { judgeCertificate } from './certificates.ts'

const DAY = 86_400_000
const id = 'spiffe://example.org/worker/web-1'
const now = Date.now()

let authority: TestAuthority
beforeAll(async () => {
  authority = await testAuthority()
})

async function judged(leaf: TestLeaf, expectedId: string | null = null) {
  const { certPem, keyPem } = await authority.issue({ uris: [id], ...leaf })
  return judgeCertificate({ cert: certPem, key: keyPem, expectedId }, now)
}

it.each([
  ['a long life before it', 300, 65, 'ok'],
  ['a week left', 360, 5, 'warn'],
  ['a short life, most of it before it', 0.02, 0.04, 'ok'],
  ['a short life, almost over', 0.04, 0.01, 'warn'],
  ['ended', 30, -1, 'fail'],
  ['not begun', -1, 30, 'fail'],
])('certificate %s', async (_, before, left, status) => {
  const life = { notBefore: new Date(now - before * DAY), notAfter: new Date(now + left * DAY) }
  expect((await judged(life)).status).toBe(status)
})

it('certificate: not exactly one SPIFFE ID → fail', async () => {
  const life = { notAfter: new Date(now + 30 * DAY) }
  expect(await judged(life, id)).toMatchObject({ status: 'ok', detail: expect.stringContaining(id) })
  expect(await judged(life, 'spiffe://example.org/worker/web-2')).toMatchObject({ status: 'warn' })
  for (const uris of [[], [id, id], ['https://example.org/']]) {
    expect(await judged({ ...life, uris })).toMatchObject({ status: 'fail', detail: expect.stringContaining('SPIFFE') })
  }
  // One name that looks like two is none of them.
  expect((await judged({ ...life, uris: [], rawSan: `x, URI:${id}` })).status).toBe('fail')
})

it('certificate: other key, or not PEM → fail', async () => {
  const [one, other] = await Promise.all([authority.issue({ uris: [id] }), authority.issue({ uris: [id] })])
  const judge = (cert: string, key: string) => judgeCertificate({ cert, key, expectedId: null }, now).detail
  expect(judge(one.certPem, other.keyPem)).toContain('is not that of the certificate')
  expect(judge('nothing', one.keyPem)).toContain('certificate can not be read')
  expect(judge(one.certPem, 'nothing')).toContain('key can not be read')
})

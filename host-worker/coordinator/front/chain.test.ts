import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { type Holder, rootAuthority } from '../../../test/support/certificate-chain.ts'
import { findPath, judgePath, type Path } from './chain.ts'
import { readRevocation } from './revocation.ts'
import type { ServerTls } from './server-tls.ts'

const of = ({ pem }: Holder): X509Certificate => new X509Certificate(pem)
const inHours = (hours: number): Date => new Date(Date.now() + hours * 3_600_000)
const tlsWith = (...lists: string[]): ServerTls => ({
  version: '',
  context: {},
  authorities: [],
  revocation: lists.length === 0 ? null : readRevocation(lists),
})

async function chain(): Promise<{ root: Holder; middle: Holder; leaf: Holder; path: Path }> {
  const root = await rootAuthority('root', { notAfter: inHours(3) })
  const middle = await root.authority('middle', { notAfter: inHours(2) })
  const leaf = await middle.leaf({ notAfter: inHours(1) })
  const path = findPath(of(leaf), [of(middle)], [of(root)])
  if (path === null) throw new Error('no path')
  return { root, middle, leaf, path }
}

test('chain: sent in any order, with others between → found up to the authority', async () => {
  const { root, middle, leaf } = await chain()
  const lower = await middle.authority('lower')
  const below = await lower.leaf({})
  const stranger = await rootAuthority('middle')
  const found = findPath(of(below), [of(stranger), of(middle), of(root), of(leaf), of(lower)], [of(root)])
  expect(found?.certificates.map(({ subject }) => subject)).toEqual(['CN=leaf', 'CN=lower', 'CN=middle'])
  expect(findPath(of(below), [of(stranger), of(lower)], [of(root)])).toBeNull()
})

test('chain: certificate that is no CA between → none', async () => {
  const { root, leaf } = await chain()
  const forged = await leaf.leaf({})
  expect(findPath(of(forged), [of(leaf)], [of(root)])).toBeNull()
})

test('chain: time passes → fails with its CA, and with its root', async () => {
  const { path } = await chain()
  const at = (hours: number) => judgePath(path, tlsWith(), inHours(hours).getTime())
  expect(at(0)).toEqual({ state: 'trusted' })
  expect(at(2.1)).toMatchObject({ state: 'failed', why: expect.stringContaining('CN=middle has expired') })
  expect(at(3.1)).toMatchObject({ state: 'failed' })
})

test('chain: root expires while another certificate of it is trusted → trusted', async () => {
  const { root, leaf, middle } = await chain()
  const path = findPath(of(leaf), [of(middle)], [of(root)])
  const renewed: Path = { certificates: [of(leaf)], listed: [], anchors: [...(path?.anchors ?? []), of(middle)] }
  expect(judgePath(renewed, tlsWith(), inHours(1.9).getTime())).toEqual({ state: 'trusted' })
  expect(judgePath(renewed, tlsWith(), inHours(3.1).getTime())).toMatchObject({ state: 'failed' })
})

test('chain: revocation lists → each issuer needs one that is not outdated', async () => {
  const { root, middle, leaf, path } = await chain()
  const judge = (...lists: string[]) => judgePath(path, tlsWith(...lists), Date.now())
  const [ofRoot, ofMiddle] = [await root.crl([]), await middle.crl([])]
  expect(judge(ofRoot, ofMiddle)).toEqual({ state: 'trusted' })
  expect(judge(ofRoot)).toEqual({ state: 'failed', why: 'there is no revocation list of CN=middle' })
  expect(judge(await root.crl([], inHours(-1)), ofMiddle)).toEqual({
    state: 'failed',
    why: 'the revocation list of CN=root is outdated',
  })
  expect(judge(await root.crl([], inHours(-1)), ofRoot, ofMiddle)).toEqual({ state: 'trusted' })
  expect(judge(ofRoot, await middle.crl([leaf.serial]))).toEqual({ state: 'revoked' })
  expect(judge(await root.crl([middle.serial]), ofMiddle)).toEqual({ state: 'revoked' })
})

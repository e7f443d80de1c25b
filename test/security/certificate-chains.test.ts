/** Chains of client certificates at a real coordinator: which are accepted, and for how long on an open connection. */
import { beforeAll, describe, expect, test } from 'vitest'
import { type Holder, type Link, rootAuthority, type Usage } from '../support/certificate-chain.ts'
import { testAuthority } from '../support/certificates.ts'
import {
  type Client,
  type Coordinator,
  coordinatorHcl,
  keepAlive,
  type ServerFiles,
  serverFiles,
  startCoordinator,
} from '../support/coordinator.ts'
import { napping, writeProject } from '../support/files.ts'
import { problem } from '../support/http.ts'
import { until } from '../support/until.ts'

const uri = 'spiffe://example.com/ops'
const rule = `
  route_rule {
    name = "all"
    method = "*"
    route_patterns = ["/*"]
    uris = ["${uri}"]
  }`

let root: Holder
let intermediate: Holder
/** A client that sends its certificate and those of these CAs. */
const sending = (leaf: Holder, ...chain: Holder[]): Client => ({
  certPem: [leaf, ...chain].map(({ pem }) => pem).join(''),
  keyPem: leaf.keyPem,
})
const leafOf = (issuer: Holder, link: Link = {}) => issuer.leaf({ uri, ...link })
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000)

async function coordinatorFor(ca: string, crl: string | null): Promise<[Coordinator, ServerFiles]> {
  const files = await serverFiles(await testAuthority(), { crl: crl !== null })
  files.replace('ca', ca)
  if (crl !== null) files.replace('crl', crl)
  const hcl = coordinatorHcl(`${files.hcl}${rule}`)
  const project = writeProject({ 'coordinator.hcl': hcl, ...napping('nap', 'task_queue_target = "datacenter"') })
  return [await startCoordinator({ project }), files]
}

beforeAll(async () => {
  root = await rootAuthority('root')
  intermediate = await root.authority('intermediate')
})

describe('only the root is configured', () => {
  let coordinator: Coordinator
  beforeAll(async () => {
    ;[coordinator] = await coordinatorFor(root.pem, null)
  })
  const ask = (client: Client) => coordinator.call<{ detail: string }>('/v1/workflows', client)

  test('client sends leaf and intermediate → accepted', async () => {
    expect((await ask(sending(await leafOf(intermediate), intermediate))).status).toBe(200)
  })

  test('client sends leaf, two intermediates, in the wrong order → accepted', async () => {
    const second = await intermediate.authority('second intermediate')
    expect((await ask(sending(await leafOf(second), intermediate, second))).status).toBe(200)
  })

  test('client sends the root too → accepted', async () => {
    expect((await ask(sending(await leafOf(intermediate), intermediate, root))).status).toBe(200)
  })

  test.each<[string, () => Promise<Client>]>([
    ['leaf alone', async () => sending(await leafOf(intermediate))],
    [
      'intermediate that another root signed',
      async () => {
        const stranger = await (await rootAuthority('root')).authority('intermediate')
        return sending(await leafOf(stranger), stranger)
      },
    ],
    [
      'intermediate that did not sign the leaf',
      async () => {
        const other = await root.authority('intermediate')
        return sending(await leafOf(other), intermediate)
      },
    ],
    [
      'leaf that another leaf signed',
      async () => {
        const middle = await intermediate.leaf({ uri: 'spiffe://example.com/nobody' })
        return sending(await leafOf(middle), middle, intermediate)
      },
    ],
    [
      'expired intermediate',
      async () => {
        const old = await root.authority('old', { notAfter: inSeconds(-10) })
        return sending(await leafOf(old), old)
      },
    ],
  ])('client sends %s → 401', async (_, client) => {
    problem(await ask(await client()), 401, 'unauthenticated')
  })

  test.each<[string, Usage | null]>([
    ['without extended key usage', null],
    ['for servers', 'serverAuth'],
    ['for code signing', 'codeSigning'],
  ])('leaf %s → 401, named', async (_, usage) => {
    const answer = await ask(sending(await leafOf(intermediate, { usage }), intermediate))
    expect(problem(answer, 401, 'unauthenticated').detail).toMatch(/clientAuth|purpose/i)
  })
})

describe('connections that outlive what they were verified with', () => {
  test('CA in the chain expires → refused on the open connection', async () => {
    const short = await root.authority('short', { notAfter: inSeconds(15) })
    const [coordinator] = await coordinatorFor(root.pem, null)
    const client = sending(await leafOf(short), short)
    const agent = keepAlive()
    const ask = () => coordinator.call<{ detail: string }>('/v1/workflows', client, {}, agent)
    expect((await ask()).status).toBe(200)
    await until('the CA has expired', async () => (await ask()).status === 401, { within: 30_000 })
    expect(problem(await ask(), 401, 'unauthenticated').detail).toMatch(/expired/i)
  })

  test('root expires → refused on the open connection', async () => {
    const brief = await rootAuthority('brief', { notAfter: inSeconds(15) })
    const [coordinator] = await coordinatorFor(brief.pem, null)
    const client = sending(await leafOf(brief))
    const agent = keepAlive()
    const ask = () => coordinator.call('/v1/workflows', client, {}, agent)
    expect((await ask()).status).toBe(200)
    await until('the root has expired', async () => (await ask()).status === 401, { within: 30_000 })
  })

  test('revocation list outdated → refused on the open connection, until there is a new one', async () => {
    const client = sending(await leafOf(root))
    const [coordinator, files] = await coordinatorFor(root.pem, await root.crl([], inSeconds(15)))
    const agent = keepAlive()
    const ask = () => coordinator.call<{ detail: string }>('/v1/workflows', client, {}, agent)
    expect((await ask()).status).toBe(200)
    await until('the list is outdated', async () => (await ask()).status === 401, { within: 30_000 })
    expect(problem(await ask(), 401, 'unauthenticated').detail).toMatch(/revocation list/i)
    files.replace('crl', await root.crl([]))
    await until('the new list counts', async () => (await ask()).status === 200, { within: 15_000 })
  })
})

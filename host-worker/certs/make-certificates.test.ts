import { KeyObject, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { testAuthority } from '../../test/support/certificates.ts'
import { BadCertificateFile } from './bad-file.ts'
import { keyPairOf } from './key-file.ts'
import { type CertificateOptions, makeCertificates } from './make-certificates.ts'
import { clientPaths } from './paths.ts'
import { readPermitKeys } from './permit-keys.ts'

const DAY = 86_400_000
const OPERATOR = { name: 'operator', uri: 'spiffe://example.org/operator' }

let parent: string
let directory: string
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'resile-certs-'))
  directory = join(parent, 'a/certs')
})
afterEach(() => rm(parent, { recursive: true }))

const make = (options: Partial<CertificateOptions> = {}) =>
  makeCertificates({ directory, hosts: [], clients: [OPERATOR], days: 100, ...options })
const read = async (file: string) => new X509Certificate(await readFile(join(directory, file)))
/** The files that a run made, relative to the directory. */
const made = async (options: Partial<CertificateOptions> = {}) =>
  (await make(options)).files.filter((file) => file.made).map(({ path }) => path.slice(directory.length + 1))

describe('certificates, first run', () => {
  it('empty directory → all made, readable by the owner only', async () => {
    expect(await made()).toEqual([
      'ca.pem',
      'ca-key.pem',
      'server.pem',
      'server-key.pem',
      'clients/operator.pem',
      'clients/operator-key.pem',
      'permit-keys.json',
      'jwks.json',
    ])
    const entries = await readdir(parent, { recursive: true, withFileTypes: true })
    expect(entries).toHaveLength(8 + 3)
    for (const entry of entries) {
      const { mode } = await stat(join(entry.parentPath, entry.name))
      expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isDirectory() ? 0o700 : 0o600])
    }
  })

  it('each certificate → its identity', async () => {
    const start = Date.now()
    const { files } = await make({ hosts: ['web.lan', '2001:db8::5'] })
    const [ca, server, client] = await Promise.all(['ca.pem', 'server.pem', 'clients/operator.pem'].map(read))
    expect(ca).toMatchObject({ ca: true, subject: 'CN=Resile development CA', issuer: 'CN=Resile development CA' })
    for (const leaf of [server, client]) {
      expect(leaf?.ca).toBe(false)
      expect(ca !== undefined && leaf?.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true)
    }
    expect(server?.subjectAltName).toBe(
      'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:web.lan, IP Address:2001:DB8:0:0:0:0:0:5',
    )
    expect(server?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(client?.subjectAltName).toBe(`URI:${OPERATOR.uri}`)
    expect(client?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(client?.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
    expect(start - (client?.validFromDate.getTime() ?? 0)).toBeLessThan(6 * 60_000)
    expect(client?.validToDate.toISOString()).toBe(files.find(({ kind }) => kind === 'client')?.not_after)
    expect(files.find(({ kind }) => kind === 'server')?.hosts).toEqual([
      'localhost',
      '127.0.0.1',
      '::1',
      'web.lan',
      '2001:db8::5',
    ])
  })

  it('permit key → public half in its own file', async () => {
    const { paths } = await make()
    const [{ d: _, ...open } = { d: '' }] = (await readPermitKeys(paths.permitKeys)).keys
    expect(JSON.parse(await readFile(paths.jwks, 'utf8'))).toEqual({ keys: [open] })
  })

  it('two runs at once → one consistent set', async () => {
    await Promise.all([make(), make(), make()])
    expect(await made()).toEqual([])
  })
})

describe('certificates, later runs', () => {
  it('nothing changed → all kept', async () => {
    await make()
    const before = await readFile(join(directory, 'server.pem'), 'utf8')
    expect(await made()).toEqual([])
    expect(await readFile(join(directory, 'server.pem'), 'utf8')).toBe(before)
  })

  it('file missing → made', async () => {
    await make()
    await rm(join(directory, 'server.pem'))
    await rm(join(directory, 'jwks.json'))
    const web = { name: 'web-1', uri: 'spiffe://example.org/web-1' }
    expect(await made({ clients: [OPERATOR, web] })).toEqual([
      'server.pem',
      'clients/web-1.pem',
      'clients/web-1-key.pem',
      'jwks.json',
    ])
  })

  it('less than a tenth of its life left → replaced, same key', async () => {
    const now = Date.now()
    await make()
    const key = await readFile(join(directory, 'server-key.pem'), 'utf8')
    expect(await made({ now: now + 89 * DAY })).toEqual([])
    expect(await made({ now: now + 91 * DAY })).toEqual(['server.pem', 'clients/operator.pem'])
    expect(await readFile(join(directory, 'server-key.pem'), 'utf8')).toBe(key)
    expect((await read('server.pem')).validToDate.getTime()).toBeGreaterThan(now + 190 * DAY)
    expect(await made({ now: now + 91 * DAY })).toEqual([])
    expect(await made({ now: now + 1000 * DAY })).toEqual(['server.pem', 'clients/operator.pem'])
  })

  it('not valid yet → replaced', async () => {
    await make({ now: Date.now() + DAY })
    await rm(join(directory, 'ca.pem'))
    expect(await made()).toEqual(['ca.pem', 'server.pem', 'clients/operator.pem'])
  })

  it('other server name or client identity → replaced', async () => {
    await make({ hosts: ['a.lan'] })
    expect(await made({ hosts: ['a.lan', 'b.lan'] })).toEqual(['server.pem'])
    // A name more than asked for is no harm.
    expect(await made()).toEqual([])
    expect(await made({ clients: [{ ...OPERATOR, uri: 'spiffe://corp/operator' }] })).toEqual(['clients/operator.pem'])
    expect((await read('clients/operator.pem')).subjectAltName).toBe('URI:spiffe://corp/operator')
  })

  it('certificate of another CA with the same name → replaced', async () => {
    const { paths } = await make()
    const stranger = await testAuthority('Resile development CA')
    const { certPem, keyPem } = await stranger.issue({ uris: [OPERATOR.uri] })
    const client = clientPaths(directory, 'operator')
    await writeFile(client.certificate, certPem)
    await writeFile(client.key, keyPem)
    await writeFile(paths.server, 'no certificate')
    expect(await made()).toEqual(['server.pem', 'clients/operator.pem'])
    const { publicKey = null } = keyPairOf(keyPem) ?? {}
    expect(publicKey && KeyObject.from(publicKey).equals((await read('clients/operator.pem')).publicKey)).toBe(true)
  })

  it('certificate of another key → replaced', async () => {
    const { paths } = await make()
    await rm(paths.serverKey)
    expect(await made()).toEqual(['server.pem', 'server-key.pem'])
  })

  it('any certificate → does not outlive the CA', async () => {
    const now = Date.now()
    await make()
    await make({ now: now + 3000 * DAY, days: 3650 })
    expect((await read('server.pem')).validTo).toBe((await read('ca.pem')).validTo)
  })

  it('permit key rotated → new key first, in both files', async () => {
    const { paths } = await make()
    const before = await readPermitKeys(paths.permitKeys)
    expect(await made({ rotatePermitKey: true })).toEqual(['permit-keys.json', 'jwks.json'])
    const after = await readPermitKeys(paths.permitKeys)
    expect(after.keys.slice(1)).toEqual(before.keys)
    const published = JSON.parse(await readFile(paths.jwks, 'utf8')) as typeof after
    expect(published.keys.map(({ kid }) => kid)).toEqual(after.keys.map(({ kid }) => kid))
  })
})

describe('certificates, refused', () => {
  it('CA without its key → error, nothing made', async () => {
    const { paths } = await make()
    await rm(paths.caKey)
    await rm(paths.server)
    await expect(make()).rejects.toThrow(`${paths.ca} has no key: ${paths.caKey} is missing`)
    expect(existsSync(paths.caKey) || existsSync(paths.server)).toBe(false)
  })

  it('invalid, foreign or expired CA → error', async () => {
    const { paths } = await make()
    await expect(make({ now: Date.now() + 3654 * DAY })).rejects.toThrow(`${paths.ca} expired at 20`)
    const stranger = await testAuthority('Resile development CA')
    await writeFile(paths.ca, stranger.caPem)
    await expect(make()).rejects.toThrow(`${paths.caKey} is not the key of ${paths.ca}`)
    await writeFile(paths.ca, (await stranger.issue()).certPem)
    await expect(make()).rejects.toThrow(`${paths.ca} is not the certificate of a CA`)
    await writeFile(paths.ca, 'nothing')
    await expect(make()).rejects.toThrow(`${paths.ca} is not a certificate in PEM`)
  })

  it('invalid key → error', async () => {
    const { paths } = await make()
    await writeFile(paths.serverKey, '-----BEGIN PRIVATE KEY-----\nsecret\n')
    const error: unknown = await make().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(BadCertificateFile)
    expect(String(error)).toContain(`${paths.serverKey} is not an ECDSA P-256 private key in PEM`)
    expect(String(error)).not.toContain('secret')
  })
})

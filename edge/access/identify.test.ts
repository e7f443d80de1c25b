import { beforeAll, describe, expect, it } from 'vitest'
import { type Config, documentSchema } from '../../shared/config.ts'
import { ProblemError } from '../http/problem.ts'
import { type CertificateOptions, certificate, verified } from '../testing/certificate.ts'
import { clientAuthOf, type TlsClientAuth } from './client-certificate.ts'
import { identify, type Listener } from './identify.ts'

const ADMIN = 'spiffe://example.org/admin'

function configWith(server: object): Config {
  return documentSchema.parse({
    version: 1,
    hash: 'h',
    development: false,
    workflows: {},
    coordinator: { datacenter: 'dc1', server_config: { enable_tls: true, ...server } },
  })
}

const RULES = configWith({ route_rule: [{ name: 'all', method: '*', route_patterns: ['/*'], uris: [ADMIN] }] })

function outcome(
  auth: TlsClientAuth | undefined,
  config = RULES,
  listener: Listener = 'network',
  headers = {},
): string {
  const request = new Request('https://coordinator.test/v1/nodes', {
    headers,
    ...(auth === undefined ? {} : { cf: { tlsClientAuth: auth } as unknown as RequestInitCfProperties }),
  })
  try {
    const { caller, reason } = identify(config, listener, clientAuthOf(request))
    return reason === null ? caller : `${caller}: ${reason}`
  } catch (error) {
    if (error instanceof ProblemError) return `${error.code}: ${error.message}`
    throw error
  }
}

async function outcomeOf(options: CertificateOptions, config = RULES): Promise<string> {
  return outcome(verified(await certificate(options)), config)
}

const uri = (value: string): CertificateOptions => ({ names: [{ type: 'url', value }] })

describe('identity in a client certificate', () => {
  let good: string
  beforeAll(async () => {
    good = await certificate(uri(ADMIN))
  })

  it('one SPIFFE ID → that ID', () => {
    expect(outcome(verified(good))).toBe(ADMIN)
    // A second time it comes from memory.
    expect(outcome(verified(good))).toBe(ADMIN)
  })

  it.each<[string, CertificateOptions, string]>([
    ['no name', {}, 'names no URI'],
    ['only a host name', { names: [{ type: 'dns', value: 'admin' }] }, 'names no URI'],
    ['a host name that reads like a URI', { names: [{ type: 'dns', value: `x, URI:${ADMIN}` }] }, 'names no URI'],
    ['a quoted host name', { names: [{ type: 'dns', value: `"x", URI:${ADMIN}` }] }, 'names no URI'],
    ['an escaped host name', { names: [{ type: 'dns', value: `x\\, URI:${ADMIN}` }] }, 'names no URI'],
    [
      'two URIs',
      { names: [ADMIN, 'spiffe://example.org/other'].map((value) => ({ type: 'url' as const, value })) },
      'names 2 URIs',
    ],
    ['the same URI twice', { names: [ADMIN, ADMIN].map((value) => ({ type: 'url' as const, value })) }, 'names 2 URIs'],
    ['two lists of names', { ...uri(ADMIN), twice: true }, 'more than one list'],
    ['another scheme', uri('https://example.org/admin'), 'not a SPIFFE ID'],
    ['an upper-case trust domain', uri('spiffe://EXAMPLE.org/admin'), 'not a SPIFFE ID'],
    ['an upper-case scheme', uri('SPIFFE://example.org/admin'), 'not a SPIFFE ID'],
    ['a port', uri('spiffe://example.org:443/admin'), 'not a SPIFFE ID'],
    ['a user', uri('spiffe://user@example.org/admin'), 'not a SPIFFE ID'],
    ['a query', uri('spiffe://example.org/admin?x=1'), 'not a SPIFFE ID'],
    ['a fragment', uri('spiffe://example.org/admin#x'), 'not a SPIFFE ID'],
    ['an escape', uri('spiffe://example.org/%61dmin'), 'not a SPIFFE ID'],
    ['a dot segment', uri('spiffe://example.org/x/../admin'), 'not a SPIFFE ID'],
    ['a final slash', uri('spiffe://example.org/admin/'), 'not a SPIFFE ID'],
    ['a list in one URI', uri(`${ADMIN}, URI:spiffe://example.org/x`), 'not a SPIFFE ID'],
    ['too long a path', uri(`spiffe://example.org/${'a'.repeat(2100)}`), 'not a SPIFFE ID'],
    ['a foreign trust domain', uri('spiffe://evil.example/admin'), 'trust domain evil.example is not permitted'],
    ['an authority', { ...uri(ADMIN), ca: true }, 'certificate authority'],
    ['a key that signs certificates', { ...uri(ADMIN), signs: true }, 'may sign certificates'],
  ])('%s → no identity', async (_, options, reason) => {
    const found = await outcomeOf(options)
    expect(found).toMatch(/^anonymous: /)
    expect(found).toContain(reason)
  })

  it('trust domain → must be listed, else named by a rule', async () => {
    const listed = configWith({ trust_domains: ['a.example'], route_rule: RULES.coordinator.server_config?.route_rule })
    expect(await outcomeOf(uri('spiffe://a.example/x'), listed)).toBe('spiffe://a.example/x')
    expect(await outcomeOf(uri(ADMIN), listed)).toContain('example.org is not permitted')
    const below = configWith({
      worker_id: 'spiffe://w.example/{node}',
      route_rule: [{ name: 'r', method: 'GET', route_patterns: ['/*'], uris: ['spiffe://b.example/*', 'webhook:x'] }],
    })
    expect(await outcomeOf(uri('spiffe://b.example/x'), below)).toBe('spiffe://b.example/x')
    expect(await outcomeOf(uri('spiffe://w.example/x'), below)).toBe('spiffe://w.example/x')
  })

  it.each<[string, (field: string) => TlsClientAuth, string]>([
    ['it did not verify', (field) => ({ ...verified(field), certVerified: 'FAILED:unable to verify' }), 'unable'],
    ['nobody verified it', (field) => ({ ...verified(field), certVerified: 'NONE' }), 'NONE'],
    ['it is revoked', (field) => ({ ...verified(field), certRevoked: '1' }), 'revoked'],
    [
      'nobody looked whether it is revoked',
      (field) => ({ certPresented: '1', certVerified: 'SUCCESS', certRFC9440: field }),
      'revoked',
    ],
    [
      'it is too large to be handed on',
      () => ({ certPresented: '1', certVerified: 'SUCCESS', certRevoked: '0' }),
      "can't be read",
    ],
    ['it is no certificate', () => verified(':AAAA:'), "can't be read"],
    ['it is not in its form', (field) => verified(field.slice(1)), "can't be read"],
  ])('certificate with %s → refused', (_, auth, reason) => {
    const found = outcome(auth(good))
    expect(found).toMatch(/^unauthenticated: /)
    expect(found).toContain(reason)
  })

  it('certificate that is not for clients → refused', async () => {
    expect(await outcomeOf({ ...uri(ADMIN), forClients: false })).toContain('has no clientAuth')
  })

  it('expired or not yet valid certificate → refused, whatever was verified before', async () => {
    const now = Date.now()
    expect(await outcomeOf({ ...uri(ADMIN), notAfter: now - 5000 })).toContain('has expired')
    expect(await outcomeOf({ ...uri(ADMIN), notBefore: now + 60_000, notAfter: now + 120_000 })).toContain(
      'not valid yet',
    )
  })

  it('no certificate → anonymous', () => {
    expect(outcome(undefined)).toBe('anonymous: there is no client certificate')
    expect(outcome({ certPresented: '0', certVerified: 'NONE', certRevoked: '0' })).toMatch(/^anonymous/)
    expect(outcome({ ...verified(good), certPresented: '0' })).toMatch(/^anonymous/)
  })

  it('no TLS → anonymous', () => {
    const plain = configWith({ enable_tls: false })
    expect(outcome(verified(good), plain)).toBe('anonymous')
  })

  it('headers → no identity', () => {
    const header = { 'x-forwarded-client-cert': `URI=${ADMIN}`, 'client-cert': good, 'cf-client-cert': good }
    expect(outcome(undefined, RULES, 'network', header)).toMatch(/^anonymous/)
  })

  it('local operator → no certificate needed', () => {
    expect(outcome(undefined, RULES, 'local')).toBe('spiffe://resile.local/operator')
  })

  it('certificate of the local operator → not accepted', async () => {
    const trusting = configWith({ trust_domains: ['resile.local'] })
    expect(await outcomeOf(uri('spiffe://resile.local/operator'), trusting)).toContain('is not permitted')
  })
})

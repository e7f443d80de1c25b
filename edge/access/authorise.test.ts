import { describe, expect, it } from 'vitest'
import { ANONYMOUS, LOCAL_OPERATOR } from '../../shared/callers.ts'
import { type Config, documentSchema } from '../../shared/config.ts'
import { isLogged } from '../../shared/route-rules.ts'
import { ProblemError } from '../http/problem.ts'
import { authorise } from './authorise.ts'

const ADMIN = 'spiffe://example.org/admin'

function config(rules: object[] | null, development = true): Config {
  return documentSchema.parse({
    version: 1,
    hash: 'h',
    development,
    workflows: {},
    coordinator: { datacenter: 'dc1', ...(rules === null ? {} : { server_config: { route_rule: rules } }) },
  })
}

const RULES = config([
  { name: 'read', method: 'GET', route_patterns: ['/*'], uris: [ADMIN] },
  { name: 'write', method: 'POST', route_patterns: ['/*'], uris: [ADMIN], allow_public: true },
  { name: 'metrics', method: 'GET', route_patterns: ['/metrics'], allow_public: true, skip_log_match: true },
  { name: 'one', method: '*', route_patterns: ['/v1/workflows/*/evaluate'], uris: ['spiffe://example.org/viewer'] },
])

function outcome(caller: string, method: string, path: string, rules = RULES): string {
  try {
    const pass = authorise(rules, { caller, reason: null }, method, path)
    return pass.by === 'rule' ? pass.rule : 'no rule needed'
  } catch (error) {
    if (error instanceof ProblemError) return error.code
    throw error
  }
}

describe('route rules', () => {
  it.each([
    [ANONYMOUS, 'GET', '/v1/nodes', 'unauthenticated'],
    [ANONYMOUS, 'POST', '/v1/anything/below', 'write'],
    [ANONYMOUS, 'GET', '/metrics', 'metrics'],
    [ANONYMOUS, 'HEAD', '/metrics', 'metrics'],
    [ANONYMOUS, 'PUT', '/v1/nodes/n1', 'unauthenticated'],
    [ANONYMOUS, 'GET', '/metrics/', 'unauthenticated'],
    [ANONYMOUS, 'GET', '/METRICS', 'unauthenticated'],
    [ADMIN, 'GET', '/', 'read'],
    [ADMIN, 'DELETE', '/v1/nodes', 'forbidden'],
    ['spiffe://example.org/viewer', 'POST', '/v1/workflows/x/evaluate', 'write'],
    ['spiffe://example.org/viewer', 'PUT', '/v1/workflows/x/evaluate', 'one'],
    ['spiffe://example.org/viewer', 'PUT', '/v1/workflows/x/y/evaluate', 'forbidden'],
    ['spiffe://example.org/viewer', 'GET', '/v1/nodes', 'forbidden'],
    [LOCAL_OPERATOR, 'DELETE', '/whatever', 'no rule needed'],
  ])('%s may %s %s → %s', (caller, method, path, expected) => expect(outcome(caller, method, path)).toBe(expected))

  it('skip_log_match → matching requests not logged, whoever the caller is', () => {
    expect(isLogged(RULES, 'GET', '/metrics')).toBe(false)
    expect(isLogged(RULES, 'POST', '/metrics')).toBe(true)
    expect(isLogged(RULES, 'GET', '/v1/nodes')).toBe(true)
    expect(isLogged(config(null), 'GET', '/metrics')).toBe(true)
  })

  it('no rules → only a development coordinator authorises', () => {
    expect(outcome(ANONYMOUS, 'POST', '/x', config(null))).toBe('no rule needed')
    expect(outcome(ANONYMOUS, 'POST', '/x', config(null, false))).toBe('unauthenticated')
    expect(outcome(ANONYMOUS, 'POST', '/x', config([]))).toBe('unauthenticated')
  })

  it('pattern with final /* → every path below, not a path with the same beginning', () => {
    const rules = config([{ name: 'r', method: '*', route_patterns: ['/v1/*'], allow_public: true }])
    expect(outcome(ANONYMOUS, 'GET', '/v1/a', rules)).toBe('r')
    expect(outcome(ANONYMOUS, 'GET', '/v1/a/b/c', rules)).toBe('r')
    expect(outcome(ANONYMOUS, 'GET', '/v1', rules)).toBe('unauthenticated')
    expect(outcome(ANONYMOUS, 'GET', '/v1x/a', rules)).toBe('unauthenticated')
  })

  it('URI with final /* → every caller below it', () => {
    const rules = config([{ name: 'r', method: '*', route_patterns: ['/*'], uris: ['spiffe://example.org/team/*'] }])
    expect(outcome('spiffe://example.org/team/a', 'GET', '/v1', rules)).toBe('r')
    expect(outcome('spiffe://example.org/team/a/b', 'GET', '/v1', rules)).toBe('r')
    for (const other of ['spiffe://example.org/team', 'spiffe://example.org/teams/a', 'spiffe://example.or/team/a']) {
      expect(outcome(other, 'GET', '/v1', rules)).toBe('forbidden')
    }
    expect(outcome(ANONYMOUS, 'GET', '/v1', rules)).toBe('unauthenticated')
  })

  it('heartbeat of a worker → its own node only, without a rule', () => {
    const rules = documentSchema.parse({
      ...config([{ name: 'r', method: 'GET', route_patterns: ['/metrics'], allow_public: true }]),
      workflows: {},
      coordinator: {
        datacenter: 'dc1',
        server_config: { enable_tls: true, worker_id: 'spiffe://example.org/worker/{node}' },
      },
    })
    const web1 = 'spiffe://example.org/worker/web-1'
    expect(outcome(web1, 'PUT', '/v1/nodes/web-1', rules)).toBe('no rule needed')
    expect(outcome(web1, 'PUT', '/v1/nodes/web-2', rules)).toBe('forbidden')
    expect(outcome(web1, 'GET', '/v1/nodes/web-1', rules)).toBe('forbidden')
    expect(outcome(web1, 'POST', '/v1/nodes/web-1/forget', rules)).toBe('forbidden')
    expect(outcome('spiffe://example.org/worker', 'PUT', '/v1/nodes/{node}', rules)).toBe('forbidden')
    expect(outcome(ANONYMOUS, 'PUT', '/v1/nodes/web-1', rules)).toBe('unauthenticated')
  })
})

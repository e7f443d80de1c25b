import { CompactSign, importJWK } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { encodePayloads } from '../../../shared/payload.ts'
import { digestPayloads, PERMIT_TYPE, type Permit, type PublicKey } from '../../../shared/permit.ts'
import { generatePermitKey, type PrivatePermitKey } from '../../certs/permit-keys.ts'
import { PermitRefused } from './refused.ts'
import type { RunRecord } from './run-record.ts'
import { checkExecution, checkPlace, keyIdOf, type PermitHost, readPermit } from './verify.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const HOST: PermitHost = { namespace: 'default', datacenter: 'dc1', node: 'web-1', types: ['web'] }
const ARGS = encodePayloads([{ name: 'restart' }, { execution_id: 'e1' }]).payloads ?? []

let key: PrivatePermitKey
let permit: Permit
let record: RunRecord
beforeAll(async () => {
  key = await generatePermitKey()
  permit = {
    sub: 'e1',
    iat: NOW / 1000,
    begin_by: NOW / 1000 + 600,
    exp: NOW / 1000 + 4200,
    namespace: 'default',
    workflow: 'restart-service',
    workflow_type: 'restartService',
    task_queue: 'dc1',
    datacenter: 'dc1',
    target: { node: 'web-1' },
    input_sha256: await digestPayloads(ARGS),
  }
  record = {
    workflowId: 'e1',
    firstRunId: 'r1',
    runId: 'r1',
    workflowType: 'restartService',
    taskQueue: 'dc1',
    startedAt: NOW + 100,
    input: ARGS,
    isOpen: true,
  }
})

async function sign(
  says: unknown,
  { header = {}, by = key }: { header?: object; by?: PrivatePermitKey } = {},
): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(says)))
    .setProtectedHeader({ alg: 'EdDSA', typ: PERMIT_TYPE, kid: by.kid, ...header })
    .sign(await importJWK(by, 'EdDSA'))
}

const publicKey = (): PublicKey => ({ kty: key.kty, crv: key.crv, kid: key.kid, x: key.x })

async function reasonOf(check: () => unknown): Promise<string> {
  try {
    await check()
    return 'permitted'
  } catch (error) {
    if (error instanceof PermitRefused) return error.reason
    throw error
  }
}

describe('signature', () => {
  it('trusted key → permit readable', async () => {
    const token = await sign(permit)
    expect(keyIdOf(token)).toBe(key.kid)
    expect(await readPermit(token, publicKey())).toEqual(permit)
  })

  it('other key with the same name → refused', async () => {
    const other = { ...(await generatePermitKey()), kid: key.kid }
    expect(await reasonOf(async () => readPermit(await sign(permit, { by: other }), publicKey()))).toBe('bad_signature')
  })

  it('any byte changed → refused', async () => {
    const token = await sign(permit)
    for (const index of [token.indexOf('.') + 5, token.lastIndexOf('.') + 5]) {
      const changed = `${token.slice(0, index)}${token[index] === 'A' ? 'B' : 'A'}${token.slice(index + 1)}`
      expect(await reasonOf(() => readPermit(changed, publicKey()))).toBe('bad_signature')
    }
  })

  it.each<[string, object]>([
    ['of another type', { typ: 'JWT' }],
    ['by another algorithm', { alg: 'Ed25519' }],
    ['by no named key', { kid: undefined }],
  ])('token %s → refused', async (_, header) => {
    const [, body, signature] = (await sign(permit)).split('.')
    const head = Buffer.from(JSON.stringify({ alg: 'EdDSA', typ: PERMIT_TYPE, kid: key.kid, ...header }))
    const token = [head.toString('base64url'), body, signature].join('.')
    expect(await reasonOf(() => keyIdOf(token))).toBe('bad_signature')
  })

  it.each(['', 'x', 'a.b.c', '..', 'eyJhbGciOiJub25lIn0.e30.'])('%j is no permit', async (token) => {
    expect(await reasonOf(() => keyIdOf(token))).toBe('bad_signature')
  })

  it('claim missing → refused', async () => {
    const { target: _, ...rest } = permit
    expect(await reasonOf(async () => readPermit(await sign(rest), publicKey()))).toBe('bad_signature')
    expect(await reasonOf(async () => readPermit(await sign({ ...permit, more: 1 }), publicKey()))).toBe(
      'bad_signature',
    )
  })
})

describe('place', () => {
  it.each<[string, Partial<Permit>, Partial<PermitHost>, number, string]>([
    ['its node', {}, {}, NOW, 'permitted'],
    ['just before it ends', {}, {}, NOW + 4_199_999, 'permitted'],
    ['at its end', {}, {}, NOW + 4_200_000, 'expired'],
    ['another node', {}, { node: 'web-2' }, NOW, 'wrong_node'],
    ['a node of that name elsewhere', {}, { datacenter: 'dc2' }, NOW, 'wrong_node'],
    ['a node of its type', { target: { node_type: 'web' } }, {}, NOW, 'permitted'],
    ['a node of another type', { target: { node_type: 'database' } }, {}, NOW, 'wrong_node'],
    ['any node of its datacenter', { target: { datacenter: 'dc1' } }, { node: 'x' }, NOW, 'permitted'],
    ['a node of another datacenter', { target: { datacenter: 'dc1' } }, { datacenter: 'dc2' }, NOW, 'wrong_node'],
    ['another namespace', {}, { namespace: 'staging' }, NOW, 'wrong_workflow'],
  ])('%s', async (_, change, host, now, expected) => {
    expect(await reasonOf(() => checkPlace({ ...permit, ...change }, { ...HOST, ...host }, now))).toBe(expected)
  })
})

describe('execution', () => {
  it.each<[string, Partial<RunRecord>, string]>([
    ['it is for', {}, 'permitted'],
    ['with another id', { workflowId: 'e2' }, 'wrong_workflow'],
    ['of another type', { workflowType: 'wipe' }, 'wrong_workflow'],
    ['that has ended', { isOpen: false }, 'wrong_workflow'],
    ['begun at the last moment', { startedAt: NOW + 600_000 }, 'permitted'],
    ['begun too late', { startedAt: NOW + 600_001 }, 'expired'],
    [
      'with another input',
      { input: encodePayloads([{ name: 'wipe' }, { execution_id: 'e1' }]).payloads ?? [] },
      'input_mismatch',
    ],
    ['with less input', { input: ARGS.slice(0, 1) }, 'input_mismatch'],
    ['with more input', { input: [...ARGS, ...ARGS] }, 'input_mismatch'],
    ['without input', { input: [] }, 'input_mismatch'],
  ])('%s', async (_, change, expected) => {
    expect(await reasonOf(() => checkExecution(permit, { ...record, ...change }))).toBe(expected)
  })

  it('digest: different lists of payloads → different', async () => {
    const digests = await Promise.all(
      [[], [''], ['', ''], ['a', 'b'], ['ab'], ['a', 'b', ''], ['1:a']].map((values) =>
        digestPayloads(values.map((data) => ({ metadata: {}, data }))),
      ),
    )
    expect(new Set(digests).size).toBe(digests.length)
  })
})

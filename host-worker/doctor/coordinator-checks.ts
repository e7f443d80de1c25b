/** Checks of the coordinator, made without side effects. */
import { readFile } from 'node:fs/promises'
import pLimit from 'p-limit'
import { messageOf } from '../../shared/log.ts'
import { JWKS_PATH, publicKeySchema, publicKeySetSchema } from '../../shared/permit.ts'
import type { LiveNode, Problem } from '../../shared/wire.ts'
import type { CoordinatorAnswer, CoordinatorClient } from '../net/coordinator-client.ts'
import { type Finding, fail, ok, warn, worst } from './check.ts'
import { judgeClock } from './clock.ts'

/** How long each request may take: less than a check, so that its own message is shown. */
const ANSWER_TIMEOUT_MS = 4000

/** Requests that one check makes at the same time. */
const MAX_REQUESTS = 8

/** The part of a client that checks need. */
type Asker = Pick<CoordinatorClient, 'request'>

/** Whether it answers, and can decide. */
export async function checkCoordinator(client: Asker): Promise<Finding> {
  const alive = await asked(client, '/healthz')
  if ('problem' in alive) return unreachable(alive.problem)
  const ready = await asked(client, '/readyz')
  if ('problem' in ready) return unreachable(ready.problem)
  if (ready.status === 200) return ok('answers, and is ready')
  if (ready.status === 401) return stranger(ready)
  if (ready.status === 403) {
    return warn(`answers, but not whether it is ready: ${problemIn(ready)}`, ruleHint('GET', '/readyz'))
  }
  return fail(`is not ready: ${problemIn(ready)}`, 'see its log')
}

/** Whether its clock and this host's agree. */
export async function checkClock(client: Asker): Promise<Finding> {
  const askedAt = Date.now()
  const answer = await asked(client, '/healthz')
  const answeredAt = Date.now()
  if ('problem' in answer) return warn('not compared: the coordinator does not answer')
  const date = answer.headers.get('date')
  return date === null
    ? warn("not compared: the coordinator's answer has no date")
    : judgeClock({ date, askedAt, answeredAt })
}

/**
 * Whether the keys can be read by which permits are verified.
 *
 * @param files key sets of other coordinators
 */
export async function checkPermits(client: Asker, files: readonly string[]): Promise<Finding> {
  const findings = await Promise.all([
    publishedKeys(client),
    ...files.map(async (file) => judgeKeys(file, JSON.parse(await readFile(file, 'utf8')))),
  ])
  return worst(findings)
}

async function publishedKeys(client: Asker): Promise<Finding> {
  const answer = await asked(client, JWKS_PATH)
  if ('problem' in answer) return fail(`the coordinator's keys can't be read: ${answer.problem}`)
  if (answer.status === 200) return judgeKeys('the coordinator', answer.json)
  if (answer.status === 401) return stranger(answer)
  const useless = 'without them only read_only commands run'
  const hint = answer.status === 403 ? ruleHint('GET', JWKS_PATH) : useless
  return fail(`the coordinator's keys can't be read: ${problemIn(answer)}`, hint)
}

function judgeKeys(source: string, set: unknown): Finding {
  const keys = publicKeySetSchema.safeParse(set).data?.keys ?? []
  const count = keys.filter((key) => publicKeySchema.safeParse(key).success).length
  return count === 0 ? fail(`${source} names no key`) : ok(`keys of ${source}: ${count}`)
}

/**
 * Whether the coordinator receives the node's heartbeats, and from this machine.
 *
 * @param bootId this machine's
 */
export async function checkHeartbeat(client: Asker, node: string, bootId: string): Promise<Finding> {
  const path = `/v1/nodes/${node}`
  const answer = await asked(client, path)
  if ('problem' in answer) return fail(`not known: ${answer.problem}`)
  if (answer.status === 401) return stranger(answer)
  if (answer.status === 403) return warn(`not known: ${problemIn(answer)}`, ruleHint('GET', path))
  if (answer.status === 404) {
    return fail(
      `the coordinator receives no heartbeat of ${node}`,
      'start resile worker, or look for heartbeat_failed in its log',
    )
  }
  if (answer.status !== 200) return fail(problemIn(answer))
  const { boot_id, draining, last_seen_at } = answer.json as LiveNode
  if (boot_id !== null && boot_id !== bootId) {
    return fail(`another machine says that it is ${node}`, 'give each host its own name')
  }
  return draining ? warn(`${node} is draining`) : ok(`${node} sent its last heartbeat at ${last_seen_at}`)
}

/**
 * Whether the nodes that detectors name are there.
 *
 * @param nodes by the name of the detector
 */
export async function checkDetectorNodes(client: Asker, nodes: Readonly<Record<string, string>>): Promise<Finding> {
  const findings = await pLimit(MAX_REQUESTS).map(Object.entries(nodes), async ([detector, node]) => {
    const path = `/v1/nodes/${node}`
    const answer = await asked(client, path)
    if ('problem' in answer) return warn(`not checked: ${answer.problem}`)
    if (answer.status === 200) return ok(`${node} of ${detector} is there`)
    if (answer.status === 403) return warn(`not checked: ${problemIn(answer)}`, ruleHint('GET', path))
    if (answer.status !== 404) return warn(`not checked: ${problemIn(answer)}`)
    return warn(`${detector} is for ${node}, which sends no heartbeat`, 'start its worker, or correct the name')
  })
  return worst(findings)
}

async function asked(client: Asker, path: string): Promise<CoordinatorAnswer | { problem: string }> {
  return client
    .request('GET', path, { timeout: ANSWER_TIMEOUT_MS })
    .catch((error: unknown) => ({ problem: messageOf(error) }))
}

function unreachable(problem: string): Finding {
  const tls = /certificate|self.signed|altnames|TLS|SSL|alert/i.test(problem)
  return fail(
    problem,
    tls
      ? 'ca_file must hold the CA of its certificate, and the certificate must name this address'
      : 'is it running, and is the address right?',
  )
}

/** The coordinator requires a client certificate, and accepted none. */
function stranger(answer: CoordinatorAnswer): Finding {
  return fail(
    problemIn(answer),
    'it must trust the authority of cert_file, and the trust domain of the SPIFFE ID in it',
  )
}

function problemIn({ status, json, text }: CoordinatorAnswer): string {
  const detail = (json as Partial<Problem> | null)?.detail
  return `HTTP ${status}: ${detail ?? text.slice(0, 200)}`
}

function ruleHint(method: string, path: string): string {
  return `a route rule must let this host pass: ${method} ${path}`
}

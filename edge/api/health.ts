/** Whether the coordinator lives, and whether it can decide. */
import type { Config } from '../../shared/config.ts'
import { formatDuration, parseDuration } from '../../shared/duration.ts'
import { messageOf } from '../../shared/log.ts'
import { JWKS_PATH, PERMIT_ALGORITHM } from '../../shared/permit.ts'
import { identityOf } from '../config.ts'
import type { AppContext } from '../context.ts'
import { ProblemError } from '../http/problem.ts'
import type { Ledgers } from '../ledgers.ts'
import { signerOf } from '../permits/signer.ts'
import type { Route } from '../route.ts'
import { TemporalClient } from '../temporal/client.ts'
import { temporalPort } from '../temporal/port.ts'
import { VERSION } from '../version.ts'

export const healthRoutes: readonly Route[] = [
  { method: 'GET', path: '/healthz', handler: healthz, summary: 'It runs', answers: { 200: null } },
  {
    method: 'GET',
    path: '/readyz',
    handler: readyz,
    summary: 'Config and ledgers work',
    answers: { 200: null, 503: null },
  },
  {
    method: 'GET',
    path: JWKS_PATH,
    handler: jwks,
    summary: 'The public keys that check permits, as a JSON Web Key Set',
    answers: { 200: null },
    problems: ['starting'],
  },
]

/** `GET /healthz`: it runs. */
function healthz(context: AppContext): Response {
  return context.json({ status: 'ok' })
}

/**
 * `GET /.well-known/jwks.json`: the keys that check permits (RFC 7517). Workers ask for them again every minute.
 *
 * @throws ProblemError `starting` without keys: an empty set would have workers drop those that they trust
 */
async function jwks(context: AppContext): Promise<Response> {
  const { keys, problem } = await signerOf(context.env.PERMIT_KEYS)
  if (problem !== null) throw new ProblemError('starting', problem)
  return context.json({ keys: keys.map((key) => ({ ...key, alg: PERMIT_ALGORITHM, use: 'sig' })) }, 200, {
    'content-type': 'application/jwk-set+json',
    'cache-control': 'max-age=60',
  })
}

/** `GET /readyz`: config and ledgers work. Temporal's state is only reported: without it, starts are admitted and wait. */
async function readyz(context: AppContext): Promise<Response> {
  const { config, ledgers } = context.var
  const [probes, temporal] = await Promise.all([
    ledgers.every((datacenter) => probeLedger(ledgers, datacenter)),
    probeTemporal(context.env, config),
  ])
  const ready = probes.every(({ ok }) => ok)
  const body = {
    status: ready ? 'ready' : 'not_ready',
    version: VERSION,
    config: { ...identityOf(config), development: config.development },
    ledgers: probes,
    temporal,
  }
  return context.json(body, ready ? 200 : 503)
}

/** Wakes every ledger and has it set its alarm again: what a cron trigger or the host calls now and then. */
export async function wakeLedgers(ledgers: Ledgers): Promise<void> {
  await ledgers.every((datacenter) => probeLedger(ledgers, datacenter))
}

async function probeLedger(
  ledgers: Ledgers,
  datacenter: string,
): Promise<{ datacenter: string; ok: boolean; [field: string]: unknown }> {
  try {
    const { open, pending, starting, clock } = await ledgers.of(datacenter).probe()
    const detail = starting ?? clock
    return { datacenter, ok: starting === null, open, pending, ...(detail === null ? {} : { detail }) }
  } catch (error) {
    return { datacenter, ok: false, detail: messageOf(error) }
  }
}

async function probeTemporal(env: Env, config: Config): Promise<object> {
  const { namespace } = config.coordinator.temporal
  const { port, httpUrl } = temporalPort(env)
  const answer = await new TemporalClient(port, httpUrl, namespace, 'resile-coordinator').namespace()
  if (answer.ok !== true) return { ok: false, namespace, detail: answer.message }
  const kept = retentionOf(answer.body)
  const max = maxPeriod(config)
  const warning =
    kept !== null && kept < max
      ? `closed executions are kept for ${formatDuration(kept)}, less than the max period ${formatDuration(max)}`
      : null
  return { ok: true, namespace, retention: kept === null ? null : formatDuration(kept), warning }
}

/** The namespace's `workflowExecutionRetentionTtl`, a protobuf duration such as `"86400s"`, in milliseconds. */
function retentionOf(body: Record<string, unknown>): number | null {
  const config = body.config as { workflowExecutionRetentionTtl?: string } | undefined
  return parseDuration(config?.workflowExecutionRetentionTtl ?? '')
}

function maxPeriod(config: Config): number {
  const constraints = Object.values(config.workflows).flatMap((workflow) => workflow.constraint)
  return Math.max(0, ...constraints.map((constraint) => constraint.period ?? 0))
}

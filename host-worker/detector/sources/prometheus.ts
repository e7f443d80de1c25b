/**
 * Instant queries of Prometheus: each returned series fires, NaN doesn't.
 *
 * @see https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import type { PrometheusConfig } from '../../../shared/config.ts'
import { messageOf } from '../../../shared/log.ts'
import { failureOf, HttpClient } from '../../net/http-client.ts'
import { printable } from './matching/printable.ts'
import { type Firing, fingerprintOf } from './observation.ts'
import type { Source } from './source.ts'

/** Size of an answer, in bytes: a thousand series with many labels. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** How far the time of an answer's samples may be from ours, in milliseconds: an older one comes from a cache. */
const MAX_SKEW_MS = 5 * 60_000
/** Length of the summary of a series, in characters: a longer one would make a trigger that is never admitted. */
const MAX_SUMMARY_LENGTH = 1000
/** Length of a server's error that is reported, in characters. */
const MAX_DETAIL_LENGTH = 200

/**
 * Fires for each series that the query returns. The servers are asked in turn, beginning with the one that answered
 * last: they are copies of each other. Whatever is no plain, whole answer says nothing about the condition.
 *
 * @param directory to which paths are relative
 */
export function watchPrometheus(config: PrometheusConfig, directory: string): Source {
  const files = filesOf(config, directory)
  const servers = config.urls.map((url) => ({ url, client: new HttpClient({ url, tls: files }) }))
  let first = 0
  return {
    async observe(now) {
      const failures: string[] = []
      for (let turn = 0; turn < servers.length; turn += 1) {
        const index = (first + turn) % servers.length
        const server = servers[index]
        if (server === undefined) break
        try {
          const firing = await ask(server.client, config, directory, now)
          first = index
          return { firing }
        } catch (error) {
          failures.push(`${server.url}: ${messageOf(error)}`)
        }
      }
      return { unknown: `no answer from Prometheus at ${failures.join('; ')}` }
    },
    async close() {
      for (const { client } of servers) client.close()
    },
  }
}

async function ask(client: HttpClient, config: PrometheusConfig, directory: string, now: number): Promise<Firing[]> {
  const { query, timeout, max_series } = config
  const signal = AbortSignal.timeout(timeout)
  const authorization = await authorizationOf(config, directory)
  const { status, headers, text } = await client
    .send({
      method: 'POST',
      path: '/api/v1/query',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        ...(authorization === null ? {} : { authorization }),
      },
      body: new URLSearchParams({ query }).toString(),
      signal,
      repeatable: true,
      most: MAX_ANSWER_BYTES,
    })
    .catch((error: unknown) => {
      throw new Error(signal.aborted ? 'timed out' : failureOf(error))
    })
  const answer = parse(text)
  if (answer?.status === 'error') throw new Error(`it refuses the query: ${answer.error.slice(0, MAX_DETAIL_LENGTH)}`)
  if (status !== 200) throw new Error(`status ${status}`)
  if (answer === null) throw new Error(`not what Prometheus answers${asType(headers.get('content-type'))}`)
  const [warning] = answer.warnings ?? []
  // A missing series can't be distinguished from one without a problem.
  if (warning !== undefined) throw new Error(`the answer may be incomplete: ${warning.slice(0, MAX_DETAIL_LENGTH)}`)
  const series = seriesOf(answer.data)
  if (series.length > max_series) throw new Error(`the query returns ${series.length} series, over ${max_series}`)
  return firingOf(query, series, now)
}

function firingOf(query: string, series: readonly Series[], now: number): Firing[] {
  const firing = new Map<string, Firing>()
  for (const { labels, at, value } of series) {
    if (Math.abs(at * 1000 - now) > MAX_SKEW_MS)
      throw new Error(`a sample is not current: its time is ${new Date(at * 1000).toISOString()}`)
    const fingerprint = fingerprintOf(labels)
    if (firing.has(fingerprint)) throw new Error(`it returns ${JSON.stringify(labels)} twice`)
    // As it reads on one line: a heredoc has several, and a newline at its end.
    const summary = printable(
      `${query.replaceAll(/\s+/g, ' ').trim()} is ${value} for ${JSON.stringify(labels)}`,
      MAX_SUMMARY_LENGTH,
    )
    firing.set(fingerprint, { fingerprint, labels, annotations: {}, value, summary })
  }
  return [...firing.values()].filter(({ value }) => value !== 'NaN')
}

/** The header that says who asks; secrets in files are read each time, since they may be renewed. */
async function authorizationOf(config: PrometheusConfig, directory: string): Promise<string | null> {
  const { username, password_env, password_file, bearer_token_env, bearer_token_file } = config
  if (username !== undefined) {
    const password = await secretOf(password_env, password_file, directory)
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  }
  if (bearer_token_env === undefined && bearer_token_file === undefined) return null
  return `Bearer ${await secretOf(bearer_token_env, bearer_token_file, directory)}`
}

async function secretOf(variable: string | undefined, file: string | undefined, directory: string): Promise<string> {
  const secret =
    file === undefined ? process.env[variable ?? ''] : (await readFile(resolve(directory, file), 'utf8')).trim()
  if (secret === undefined || secret === '') throw new Error(`${file ?? `$${variable}`} holds no secret`)
  return secret
}

function filesOf({ ca_file, cert_file, key_file }: PrometheusConfig, directory: string) {
  const absolute = (file: string | undefined) => (file === undefined ? undefined : resolve(directory, file))
  return { ca_file: absolute(ca_file), cert_file: absolute(cert_file), key_file: absolute(key_file) }
}

function asType(type: string | null): string {
  return type === null ? '' : ` (${type.slice(0, MAX_DETAIL_LENGTH)})`
}

/** A number as Prometheus writes it. */
const number = z.string().regex(/^(?:NaN|[+-]?Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/)
const sample = z.tuple([z.number(), number])
const answerSchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('success'),
    warnings: z.array(z.string()).optional(),
    data: z.discriminatedUnion('resultType', [
      z.object({
        resultType: z.literal('vector'),
        result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: sample })),
      }),
      z.object({ resultType: z.literal('scalar'), result: sample }),
      z.object({ resultType: z.literal('matrix'), result: z.unknown() }),
      z.object({ resultType: z.literal('string'), result: z.unknown() }),
    ]),
  }),
  z.object({ status: z.literal('error'), error: z.string() }),
])
type Answer = z.output<typeof answerSchema>

function parse(text: string): Answer | null {
  try {
    return answerSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

interface Series {
  labels: Record<string, string>
  /** In seconds since the epoch. */
  at: number
  value: string
}

function seriesOf(data: (Answer & { status: 'success' })['data']): Series[] {
  const one = (labels: Record<string, string>, [at, value]: [number, string]): Series => ({ labels, at, value })
  if (data.resultType === 'scalar') return [one({}, data.result)]
  if (data.resultType === 'matrix') {
    throw new Error(
      'the query returns a range vector: a detector needs an instant one, such as max_over_time(…) returns',
    )
  }
  if (data.resultType === 'string') throw new Error('the query returns a string, which can not fire')
  return data.result.map(({ metric, value }) => one(metric, value))
}

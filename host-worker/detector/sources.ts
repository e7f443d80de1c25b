/** Signal sources: each polls once and says what fires. */
import { z } from 'zod'
import type { DetectorConfig } from '../../shared/config.ts'
import { formatDuration } from '../../shared/duration.ts'
import { messageOf } from '../../shared/log.ts'
import { checkHttp } from '../activities/check-http.ts'
import { fingerprintOf, type Observation } from './observation.ts'

/** Polls the source of a detector, once. Never throws. */
export async function observe(detector: DetectorConfig): Promise<Observation> {
  if (detector.http_check !== undefined) return observeHttp(detector.http_check)
  if (detector.prometheus !== undefined) return observePrometheus(detector.prometheus)
  return { unknown: 'the detector has no source' }
}

async function observeHttp(check: NonNullable<DetectorConfig['http_check']>): Promise<Observation> {
  const { url, timeout, expect_status } = check
  const result = await checkHttp({ url, expectStatus: expect_status, timeout: formatDuration(timeout) })
  if (result.ok) return { firing: [] }
  const value = String(result.status)
  return {
    firing: [
      {
        fingerprint: fingerprintOf({ url }),
        labels: {},
        annotations: {},
        value,
        summary: `${url}: ${result.error ?? value}`,
      },
    ],
  }
}

/**
 * An instant query; each returned series fires, NaN doesn't.
 *
 * @see https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
 */
async function observePrometheus({
  urls: [url = ''],
  query,
  timeout,
}: NonNullable<DetectorConfig['prometheus']>): Promise<Observation> {
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query }),
      signal: AbortSignal.timeout(timeout),
    })
    const answer = answerSchema.parse(await response.json())
    if (answer.status === 'error') return { unknown: `Prometheus refuses the query: ${answer.error}` }
    return {
      firing: seriesOf(answer.data)
        .filter(({ value }) => value !== 'NaN')
        .map(({ labels, value }) => ({
          fingerprint: fingerprintOf(labels),
          labels,
          annotations: {},
          value,
          summary: `${query} is ${value} for ${JSON.stringify(labels)}`,
        })),
    }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return { unknown: `no answer from Prometheus at ${url}: ${messageOf(cause)}` }
  }
}

const sample = z.tuple([z.number(), z.string()])
const answerSchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('success'),
    data: z.discriminatedUnion('resultType', [
      z.object({
        resultType: z.literal('vector'),
        result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: sample })),
      }),
      z.object({ resultType: z.literal('scalar'), result: sample }),
    ]),
  }),
  z.object({ status: z.literal('error'), error: z.string() }),
])

function seriesOf(
  data: Extract<z.output<typeof answerSchema>, { status: 'success' }>['data'],
): { labels: Record<string, string>; value: string }[] {
  if (data.resultType === 'scalar') return [{ labels: {}, value: data.result[1] }]
  return data.result.map(({ metric, value }) => ({ labels: metric, value: value[1] }))
}

import { resolve } from 'node:path'
import { ANY_HOST } from '../../../shared/check-policy.ts'
import type { DetectorConfig } from '../../../shared/config.ts'
import { formatDuration } from '../../../shared/duration.ts'
import { checkHttp } from '../../net/check-http.ts'
import { fingerprintOf } from './observation.ts'
import type { Source } from './source.ts'

/** Fires while a URL doesn't answer with the status that is expected of it. */
export function watchHttp(
  { url, timeout, expect_status, ca_file }: NonNullable<DetectorConfig['http_check']>,
  directory: string,
): Source {
  const fingerprint = fingerprintOf({ url })
  const caFile = ca_file === undefined ? null : resolve(directory, ca_file)
  const request = { url, expectStatus: expect_status, timeout: formatDuration(timeout) }
  return {
    async observe() {
      const { ok, status, error, unknown } = await checkHttp(request, ANY_HOST, caFile)
      if (ok) return { firing: [] }
      if (unknown) return { unknown: `${url}: ${error}` }
      const value = String(status)
      return { firing: [{ fingerprint, labels: {}, annotations: {}, value, summary: `${url}: ${error ?? value}` }] }
    },
  }
}

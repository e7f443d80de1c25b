import type { DetectorConfig } from '../../../shared/config.ts'
import { formatDuration } from '../../../shared/duration.ts'
import { checkHttp } from '../../net/check-http.ts'
import { fingerprintOf } from './observation.ts'
import type { Source } from './source.ts'

/** Fires while a URL doesn't answer with the status that is expected of it. */
export function watchHttp({ url, timeout, expect_status }: NonNullable<DetectorConfig['http_check']>): Source {
  const fingerprint = fingerprintOf({ url })
  const request = { url, expectStatus: expect_status, timeout: formatDuration(timeout) }
  return {
    async observe() {
      const { ok, status, error } = await checkHttp(request)
      if (ok) return { firing: [] }
      const value = String(status)
      return { firing: [{ fingerprint, labels: {}, annotations: {}, value, summary: `${url}: ${error ?? value}` }] }
    },
  }
}

/** Checks a service's health over HTTP, within what the host's worker.hcl allows. */
import { ApplicationFailure } from '@temporalio/common'
import type { CheckPolicy } from '../../../shared/check-policy.ts'
import type { CheckRequest, CheckResult } from '../../../workflows/sdk/activities.ts'
import { CheckRefused, checkHttp } from '../../net/check-http.ts'

/** A host that requests what its policy allows. */
export interface CheckHost {
  node: string
  checks: CheckPolicy
}

/**
 * The activity `checkHttp`. A service that does not answer is a result; a URL that must not be requested is an error.
 *
 * @throws ApplicationFailure `CheckNotAllowed`, not retried
 */
export function checkHttpActivity(host: CheckHost): (request: CheckRequest) => Promise<CheckResult> {
  return async (request) => {
    try {
      return await checkHttp(request, host.checks)
    } catch (error) {
      if (!(error instanceof CheckRefused)) throw error
      throw ApplicationFailure.nonRetryable(`${host.node} refuses the check: ${error.message}`, 'CheckNotAllowed')
    }
  }
}

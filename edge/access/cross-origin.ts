/**
 * Keeps web pages of others away from a coordinator that a browser can reach: one that listens on loopback (a page's own
 * name may be made to resolve to 127.0.0.1, DNS rebinding), or one whose user's browser holds a client certificate.
 */
import { ProblemError } from '../http/problem.ts'

/**
 * Refuses requests for another host's name, and those that another site's page makes.
 *
 * @param hosts the names that are its own, without port; null when any is
 * @throws ProblemError `forbidden`
 */
export function refuseCrossOrigin(headers: Headers, hosts: readonly string[] | null): void {
  const host = headers.get('host')?.toLowerCase() ?? ''
  if (hosts !== null && !hosts.includes(host.replace(/:\d+$/, ''))) {
    const own = hosts.join(', ')
    throw new ProblemError(
      'forbidden',
      `this coordinator is not ${JSON.stringify(host)}: add the name to hosts in server_config (now ${own})`,
    )
  }
  const origin = headers.get('origin')?.toLowerCase()
  // Browsers send it, programs don't.
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    throw new ProblemError('forbidden', `cross-origin request refused: origin ${JSON.stringify(origin)}`)
  }
}

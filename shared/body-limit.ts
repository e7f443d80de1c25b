/** Limits of request bodies, which a datacenter's front end enforces before the coordinator does. */

/** The largest request body, in bytes. */
export const BODY_LIMIT = 64 * 1024

/** Those of paths that take more: Alertmanager sends all alerts of a group at once. */
const LARGER: ReadonlyMap<string, number> = new Map([['/v1/triggers/alertmanager', 1024 * 1024]])

/**
 * The largest body of a request to a path, in bytes.
 *
 * @param path decoded, as the router sees it
 */
export function bodyLimit(path: string): number {
  return LARGER.get(path) ?? BODY_LIMIT
}

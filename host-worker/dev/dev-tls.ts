/** Mutual TLS for `resile dev`, with certificates that it makes itself. */
import type { ConfigDocument } from '../../shared/config.ts'
import { clientsOf } from '../certs/clients.ts'
import { makeCertificates } from '../certs/make-certificates.ts'
import type { Project } from '../config/project.ts'
import type { ServerTlsFiles } from '../coordinator/front/server-tls.ts'
import { certificatesDirectory } from '../coordinator/secrets.ts'
import { serverTlsFiles } from '../coordinator/tls-files.ts'

/** Everything for TLS: certificates, and a configuration that verifies them. */
export interface DevTls {
  files: ServerTlsFiles
  /** Where certificates for callers are. */
  directory: string
  document: ConfigDocument
}

/**
 * Makes certificates for the server and for every caller that the route rules name, unless they exist. Certificates that
 * coordinator.hcl names are used as they are.
 *
 * @throws CommandError when one of these is missing
 */
export async function devTls(project: Project, data: string): Promise<DevTls> {
  const server = project.coordinator.server_config
  const directory = certificatesDirectory(data)
  const uris = server?.route_rule.flatMap((rule) => rule.uris) ?? []
  const { trustDomain, clients } = clientsOf({ trustDomain: server?.trust_domains?.[0], uris, named: [] })
  await makeCertificates({ directory, hosts: [], clients, days: 365 })
  const { document } = project
  // Without rules everyone passes, as without TLS; but who it was is known.
  const everyone = { name: 'development', method: '*' as const, route_patterns: ['/*'], allow_public: true }
  const configured = document.coordinator.server_config ?? { trust_domains: [trustDomain], route_rule: [everyone] }
  const coordinator = { ...document.coordinator, server_config: { ...configured, enable_tls: true } }
  return {
    files: await serverTlsFiles(project.dir, directory, server ?? {}),
    directory,
    document: { ...document, coordinator },
  }
}

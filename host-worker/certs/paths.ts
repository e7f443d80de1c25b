import { join, resolve } from 'node:path'

/** The paths in a directory of certificates. Absolute. */
export interface CertificatePaths {
  ca: string
  caKey: string
  server: string
  serverKey: string
  /** Private keys that sign permits, and their public halves. */
  permitKeys: string
  jwks: string
}

/** The paths in a directory, whether the files are there or not. */
export function certificatePaths(directory: string): CertificatePaths {
  const at = (file: string) => join(resolve(directory), file)
  return {
    ca: at('ca.pem'),
    caKey: at('ca-key.pem'),
    server: at('server.pem'),
    serverKey: at('server-key.pem'),
    permitKeys: at('permit-keys.json'),
    jwks: at('jwks.json'),
  }
}

/** The certificate of one client and its key. */
export function clientPaths(directory: string, name: string): { certificate: string; key: string } {
  const folder = join(resolve(directory), 'clients')
  return { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) }
}

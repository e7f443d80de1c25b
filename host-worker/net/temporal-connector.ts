/** The options with which the Temporal SDK connects: of a worker (native) and of a client alike. */
import type { TLSConfig } from '@temporalio/client'
import { type TemporalCredentials, usesTls } from '../../shared/config.ts'
import { ClientCredentials, type Credentials } from './client-credentials.ts'

/** Where Temporal is, and the credentials for it; paths of files are absolute. */
export interface TemporalAddress extends TemporalCredentials {
  /** `HOST:PORT` of its gRPC. */
  address: string
}

/** What both `Connection.connect` and `NativeConnection.connect` take. */
export interface TemporalConnectOptions {
  address: string
  tls: TLSConfig | boolean
  apiKey?: string
}

/** Reads the credentials' files, and again when they have changed. */
export class TemporalConnector {
  readonly #temporal: TemporalAddress
  readonly #credentials: ClientCredentials

  constructor(temporal: TemporalAddress) {
    this.#temporal = temporal
    this.#credentials = new ClientCredentials(temporal)
  }

  /**
   * The credentials that hold now; the same object as long as the files don't change.
   *
   * @throws Error when a file can't be read and never could
   */
  credentials(): Promise<Credentials> {
    return this.#credentials.current()
  }

  /** How to connect with them. */
  options({ ca, cert, key, apiKey }: Credentials): TemporalConnectOptions {
    const { address, server_name } = this.#temporal
    const tls = {
      ...(ca === undefined ? {} : { serverRootCACertificate: Buffer.from(ca) }),
      ...(cert === undefined || key === undefined
        ? {}
        : { clientCertPair: { crt: Buffer.from(cert), key: Buffer.from(key) } }),
      ...(server_name === undefined ? {} : { serverNameOverride: server_name }),
    }
    return { address, tls: usesTls(this.#temporal) ? tls : false, ...(apiKey === undefined ? {} : { apiKey }) }
  }
}

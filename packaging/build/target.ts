/** What a package is built for. */

/** A Linux architecture, by the names that others have for it. */
export interface Target {
  /** Debian's name. */
  arch: 'amd64' | 'arm64'
  /** Node's name, which npm packages use. */
  cpu: 'x64' | 'arm64'
  /** The directory of the Temporal SDK's native addon. */
  triple: string
  /** GNU's program that removes symbols, and the Debian package that has it. */
  strip: string
  stripPackage: string
}

/** All that packages are built for. */
export const TARGETS: readonly Target[] = [
  {
    arch: 'amd64',
    cpu: 'x64',
    triple: 'x86_64-unknown-linux-gnu',
    strip: 'x86_64-linux-gnu-strip',
    stripPackage: 'binutils-x86-64-linux-gnu',
  },
  {
    arch: 'arm64',
    cpu: 'arm64',
    triple: 'aarch64-unknown-linux-gnu',
    strip: 'aarch64-linux-gnu-strip',
    stripPackage: 'binutils-aarch64-linux-gnu',
  },
]

/** What of the repository and of its npm packages an installation needs. */
import type { Target } from './target.ts'

/** Folders of the repository that are installed. */
const SOURCES = ['edge/', 'host-worker/', 'shared/', 'workflows/', 'tools/temporal-cli/']
/** Single files of it. The lockfile names the versions that caches are of. */
const FILES = ['package.json', 'package-lock.json']
/** Rigs that only the repository's own tests use; `host-worker/testing` is `resile/testing`, for those of projects. */
const OWN_TESTS =
  /\.test\.ts$|(?:^|\/)test-support\.ts$|\/testdata\/|^(?:edge|workflows)\/testing\/|\/worker\/testing\/|\/hcl\/testing\//

/** Whether a file of the repository is installed. @param path relative to its root */
export function isProgram(path: string): boolean {
  return FILES.includes(path) || (SOURCES.some((folder) => path.startsWith(folder)) && !OWN_TESTS.test(path))
}

/** What npm packages have for people and for those who build or debug them. */
const NOT_RUN = /\.(?:md|markdown|map|flow|d\.[cm]?ts|tsbuildinfo)$|(?:^|\/)(?:\.[^/]+|__tests__)(?:\/|$)/
/** The Temporal SDK's native addon is there with its source in Rust, and for all platforms. */
const CORE_BRIDGE = '@temporalio/core-bridge/'
const CORE_BRIDGE_SOURCE = /^(?:Cargo\.|bridge-macros\/|scripts\/|sdk-core\/|src\/|ts\/)/
/** Large files of packages that no program of ours loads. */
const NOT_LOADED = /^(?:bintrees\/test\/|oxc-parser\/[^/]+\.wasm$|workerd\/worker\.mjs$)/
/** Licences stay, whatever they are called. */
const LICENCE = /(?:^|\/)(?:licen[cs]e|notice|copying)[^/]*$/i

/** Whether a file of the npm packages is installed. @param path relative to node_modules */
export function isDependency(path: string, { triple }: Target): boolean {
  if (LICENCE.test(path)) return true
  if (NOT_RUN.test(path) || NOT_LOADED.test(path)) return false
  if (!path.startsWith(CORE_BRIDGE)) return true
  const inside = path.slice(CORE_BRIDGE.length)
  return (
    !CORE_BRIDGE_SOURCE.test(inside) && (!inside.startsWith('releases/') || inside.startsWith(`releases/${triple}/`))
  )
}

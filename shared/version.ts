/** Versions of Resile, as Semantic Versioning orders them. @see https://semver.org/ */

/** Whether a version is older than another, by its three numbers; one that is unknown is. */
export function isOlder(version: string | null, than: string): boolean {
  if (version === null) return true
  const [own, other] = [numbersOf(version), numbersOf(than)]
  const index = own.findIndex((number, place) => number !== other[place])
  return index !== -1 && (own[index] ?? 0) < (other[index] ?? 0)
}

function numbersOf(version: string): number[] {
  return version
    .split(/[-+]/, 1)
    .flatMap((core) => core.split('.'))
    .map(Number)
}

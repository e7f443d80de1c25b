/**
 * The dependency audit: what the lockfile says is checked here, and the registry is asked for known vulnerabilities of
 * what is installed. A registry that can't tell (a mirror, say) is named, and fails the audit only with --strict.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, runtimeEnvironment } from './runtime.mjs'

/** Vulnerabilities that fail the audit. */
const SEVERE = ['high', 'critical']

const isStrict = process.argv.includes('--strict')
const problems = [
  ...lockfileProblems('package-lock.json', reviewedScripts()),
  ...lockfileProblems('tools/node/package-lock.json', []),
]
const known = await knownVulnerabilities()
for (const problem of [...problems, ...known.problems]) console.error(`audit: ${problem}`)
if (known.unavailable !== null) console.error(`audit: the registry reports no vulnerabilities: ${known.unavailable}`)
const failed = problems.length + known.problems.length > 0 || (isStrict && known.unavailable !== null)
if (!failed)
  console.log(known.unavailable === null ? 'audit: nothing severe is known' : 'audit: the lockfiles are in order')
process.exitCode = failed ? 1 : 0

/** Packages whose install scripts were reviewed, and are not run. */
function reviewedScripts() {
  const { allowScripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.keys(allowScripts)
}

/** Packages whose content is not fixed by a hash, or that would run a script that is not reviewed. */
function lockfileProblems(file, reviewed) {
  const { packages } = JSON.parse(readFileSync(join(root, file), 'utf8'))
  return Object.entries(packages).flatMap(([path, entry]) => {
    if (path === '' || entry.link === true) return []
    const name = path.replace(/^.*node_modules\//, '')
    const found = []
    if (entry.integrity === undefined && entry.inBundle !== true) found.push(`${file}: ${name} has no integrity hash`)
    // Scripts of what is optional are those of platforms; npm knows them by the same name.
    if (entry.hasInstallScript === true && !reviewed.includes(name) && !/^fsevents$/.test(name)) {
      found.push(`${file}: ${name} has an install script that is not reviewed (allowScripts in package.json)`)
    }
    return found
  })
}

/** What `npm audit` says. */
function knownVulnerabilities() {
  return new Promise((resolve) => {
    const options = { cwd: root, env: runtimeEnvironment(), maxBuffer: 64 * 1024 * 1024 }
    execFile('npm', ['audit', '--json'], options, (_, stdout) => {
      const report = parse(stdout)
      if (report?.vulnerabilities === undefined) {
        resolve({ problems: [], unavailable: report?.error?.summary || report?.message || 'npm audit failed' })
        return
      }
      const severe = Object.values(report.vulnerabilities).filter(({ severity }) => SEVERE.includes(severity))
      const described = severe.map(({ name, severity, range }) => `${name} ${range}: known vulnerability (${severity})`)
      resolve({ problems: described, unavailable: null })
    })
  })
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

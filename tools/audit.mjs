/**
 * The dependency audit: what the lockfile says is checked here, and the registry is asked for known vulnerabilities of
 * what is installed. When the registry can't tell (a mirror, say), nothing is known, and the audit ends with exit code 2;
 * with --allow-unavailable it ends with 0 all the same.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, runtimeEnvironment } from './runtime.mjs'

/** Vulnerabilities that fail the audit. */
const SEVERE = ['high', 'critical']

const EXIT = { ok: 0, vulnerable: 1, unavailable: 2 }
const problems = [
  ...lockfileProblems('package-lock.json', reviewedScripts()),
  ...lockfileProblems('tools/node/package-lock.json', []),
]
const known = await knownVulnerabilities()
for (const problem of [...problems, ...known.problems]) console.error(`audit: ${problem}`)
if (known.unavailable !== null) console.error(`audit: the registry reports no vulnerabilities: ${known.unavailable}`)
process.exitCode = outcome()

function outcome() {
  if (problems.length + known.problems.length > 0) return EXIT.vulnerable
  if (known.unavailable === null) {
    console.log('audit: nothing severe is known')
    return EXIT.ok
  }
  console.log('audit: the lockfiles are in order, but whether vulnerabilities are known is not')
  return process.argv.includes('--allow-unavailable') ? EXIT.ok : EXIT.unavailable
}

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

/**
 * The npm scripts: `node tools/run.mjs NAME [ARGUMENT…]` sets the clone up and runs one of them under Node 24.
 * npm itself runs under the system's Node, so each script starts here.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root, runGuarded, runTool } from './runtime.mjs'
import { SetupError, setUp } from './setup.mjs'

const scripts = {
  setup: () => temporalCli(),
  start: async (args) => {
    const ownTemporal = !args.some((arg) => /^--temporal-address(=|$)/.test(arg))
    const code = ownTemporal ? await temporalCli() : 0
    return code === 0 ? runGuarded(join(root, 'host-worker/cli/main.ts'), ['dev', '--sample', ...args]) : code
  },
  test: async (args) => {
    const code = await temporalCli()
    return code === 0 ? runGuarded(join(root, 'tools/test.ts'), args) : code
  },
  bench: async (args) => {
    const code = await temporalCli()
    return code === 0 ? runGuarded(join(root, 'test/bench/main.ts'), args) : code
  },
  drill: async (args) => {
    const code = await temporalCli()
    return code === 0 ? runGuarded(join(root, 'test/drill/main.ts'), args) : code
  },
  fuzz: (args) => fuzz(...args),
  soak: async (args) => {
    const code = await temporalCli()
    return code === 0 ? soak(args) : code
  },
  check: () => inTurn({ types, biome: () => runTool('biome', ['check', '.']), oxlint: typedLint, boundaries }),
  types,
  lint: () => inTurn({ biome: () => runTool('biome', ['lint', '.']), oxlint: typedLint, boundaries }),
  format: () => runTool('biome', ['check', '--write', '--linter-enabled=false', '.']),
  unused: (args) => runTool('knip', args),
  audit: (args) => runTool('node', [join(root, 'tools/audit.mjs'), ...args]),
  bindings: (args) => runTool('node', [join(root, 'tools/bindings.mjs'), ...args]),
  docs: () => runTool('node', [join(root, 'tools/docs/generate.ts')]),
  package: (args) => runGuarded(join(root, 'packaging/build/main.ts'), args),
  wrangler: (args) => runTool('wrangler', args),
}

/** `--help` of the scripts whose program has none of its own. */
const help = {
  test: 'npm test [-- FILE… OPTION…]: runs all tests, or those of the files; options are those of vitest run',
  soak: 'npm run soak [-- --short]: runs the tests that take long; --short: some minutes',
  fuzz: 'npm run fuzz [-- NUMBER]: sends so many (100000) arbitrary requests and configuration files',
  check: 'npm run check: types, lint, format, and the boundaries between parts of the code',
  types: 'npm run types: types, for hosts and for the edge',
  lint: 'npm run lint: lint, and the boundaries between parts of the code',
  format: 'npm run format: formats all files and sorts imports',
  docs: 'npm run docs: writes the generated pages of the documentation',
}

const [name = '', ...args] = process.argv.slice(2)
try {
  process.exit(await run(name, args))
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(error.message)
  process.exit(1)
}

async function run(script, scriptArgs) {
  if (!Object.hasOwn(scripts, script)) {
    console.error(`no script ${JSON.stringify(script)}; there are: ${Object.keys(scripts).join(' ')}`)
    return 2
  }
  if (Object.hasOwn(help, script) && scriptArgs.some((arg) => arg === '--help' || arg === '-h')) {
    console.log(help[script])
    return 0
  }
  await setUp()
  return scripts[script](scriptArgs)
}

/** Sees to it that there is a Temporal CLI; it says so itself when it has to fetch one. */
function temporalCli() {
  return runGuarded(join(root, 'host-worker/dev/temporal-cli/cli-main.ts'), ['--quiet'])
}

/** Runs the tests that send anything at all to what reads it, so often. */
function fuzz(runs = '100000') {
  if (!/^[1-9]\d*$/.test(runs)) {
    console.error(`fuzz: ${JSON.stringify(runs)} is not a positive whole number`)
    return 2
  }
  const files = ['edge/testing/fuzz/fuzz.test.ts', 'host-worker/config/hcl/fuzz.test.ts']
  const environment = { ...process.env, RESILE_FUZZ_RUNS: runs }
  return runGuarded(join(root, 'tools/test.ts'), [...files, '--silent=false'], environment)
}

/** Runs the tests that take long, in a form that takes some minutes with --short. */
function soak(arguments_) {
  const isShort = arguments_.includes('--short')
  const runs = process.env.RESILE_FUZZ_RUNS ?? (isShort ? '2000' : '100000')
  const environment = { ...process.env, RESILE_SOAK: isShort ? 'short' : 'long', RESILE_FUZZ_RUNS: runs }
  const others = arguments_.filter((argument) => argument !== '--short')
  return runGuarded(join(root, 'tools/test.ts'), others, environment)
}

async function types() {
  const projects = ['tsconfig.json', 'edge/tsconfig.json'].filter((file) => existsSync(join(root, file)))
  return inTurn(Object.fromEntries(projects.map((file) => [file, () => runTool('tsc', ['--project', file])])))
}

function typedLint() {
  return runTool('oxlint', ['--type-aware'])
}

/** Whether imports point downward only; oxlint looks for cycles. */
function boundaries() {
  return runGuarded(join(root, 'tools/boundaries.ts'), [])
}

/** Runs all, also after a failure, so that one run shows everything that is wrong; closes with what failed. */
async function inTurn(steps) {
  let worst = 0
  const failed = []
  for (const [name, step] of Object.entries(steps)) {
    const code = await step([])
    if (code !== 0) failed.push(name)
    worst = Math.max(worst, code)
  }
  if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`)
  return worst
}

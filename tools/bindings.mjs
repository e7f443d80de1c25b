/**
 * Generates edge/bindings.d.ts, the types of the Worker's bindings, from wrangler.toml; `--check` only reports when it is
 * stale. wrangler runs the build command before it generates types, and that needs a whole project's HCL, so it gets a
 * copy of the configuration without it.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './runtime.mjs'

const OUTPUT = 'edge/bindings.d.ts'
const config = join(root, 'wrangler.types.toml')
const output = join(root, OUTPUT)

const isCheck = process.argv.includes('--check')
const present = readIfPresent()
const generated = generate()
if (!isCheck) writeFileSync(output, generated)
else if (present !== generated) {
  console.error(`${OUTPUT} is stale: run npm run bindings`)
  process.exitCode = 1
}

function generate() {
  const temporary = join(root, 'edge/bindings.generated.d.ts')
  const toml = readFileSync(join(root, 'wrangler.toml'), 'utf8')
  writeFileSync(
    config,
    toml.replace(/^\[build\]\n(?:.+\n)*/m, '').replace('./dist/config.json', './edge/testing/config.json'),
  )
  try {
    const wrangler = join(root, 'node_modules/wrangler/bin/wrangler.js')
    const args = ['types', temporary, '--config', config, '--include-runtime=false']
    execFileSync(process.execPath, [wrangler, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
    const types = /^interface __BaseEnv_Env \{\n(?<members>[\s\S]*?)^\}/m.exec(readFileSync(temporary, 'utf8'))
    if (types?.groups === undefined) throw new Error('wrangler types has generated no interface of the bindings')
    const members = types.groups.members
      .replaceAll('\t', '  ')
      .replaceAll(/import\("\.\/worker"\)/g, "import('./worker.ts')")
      .replaceAll(';', '')
    return `// Generated from wrangler.toml by \`npm run bindings\`.\n\ndeclare namespace Cloudflare {\n  interface Env {\n${members.replaceAll(/^/gm, '  ').trimEnd()}\n  }\n}\n`
  } finally {
    rmSync(config, { force: true })
    rmSync(temporary, { force: true })
  }
}

function readIfPresent() {
  try {
    return readFileSync(output, 'utf8')
  } catch {
    return null
  }
}

import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { commandPath } from './command-path.ts'
import { PACKAGE_ROOT } from './package-root.ts'

// The launcher is plain JavaScript: it runs under the system's Node.
const launcher = join(PACKAGE_ROOT, 'tools/runtime.mjs')
const { runtimeEnvironment } = (await import(launcher)) as {
  runtimeEnvironment: (base: NodeJS.ProcessEnv) => NodeJS.ProcessEnv
}

const system = '/usr/local/bin:/usr/bin:/bin'

describe('PATH of commands', () => {
  it('started by the launcher → as it was before', () => {
    const environment = runtimeEnvironment({ PATH: system })
    expect(environment.PATH).toMatch(/node_modules/)
    expect(commandPath(environment)).toBe(system)
    expect(commandPath(runtimeEnvironment(environment))).toBe(system)
  })

  it('started by npm → without what npm has added', () => {
    const binaries = join(PACKAGE_ROOT, 'node_modules/.bin')
    const npm = { PATH: `${binaries}:/node_modules/.bin:/opt/npm/node-gyp-bin:${system}`, npm_lifecycle_event: 'start' }
    expect(commandPath(runtimeEnvironment(npm))).toBe(system)
  })

  it('a folder of the same name that the user has on it → stays', () => {
    const own = `/srv/app/node_modules/.bin:${system}`
    expect(commandPath(runtimeEnvironment({ PATH: own }))).toBe(own)
    expect(commandPath({ PATH: own })).toBe(own)
    expect(commandPath({})).toBeUndefined()
  })
})

import { RE2JS } from 're2js'
import { describe, expect, it } from 'vitest'
import { workerSchema } from '../../shared/config.ts'
import { systemdCommands } from './systemd-commands.ts'

const block = (units: string[]) => workerSchema.parse({ node: 'web-1', datacenter: 'dc1', systemd: { units } }).systemd
const permits = (units: string[], unit: string): boolean => {
  const { 'systemd-restart': restart } = systemdCommands(block(units))
  return RE2JS.compile(restart?.params['unit'] ?? '')
    .matcher(unit)
    .matches()
}

describe('systemd block', () => {
  it.each([
    ['nginx.service', 'nginx.service', true],
    ['nginx.service', 'nginxXservice', false],
    ['app@*.service', 'app@7.service', true],
    ['app@*.service', 'app@a\\x2db.service', true],
    ['srv-data\\x2d1.mount', 'srv-data\\x2d1.mount', true],
    ['srv-data\\x2d1.mount', 'srv-data-1.mount', false],
    ['app@*.service', 'app@7.service other.service', false],
  ])('units = ["%s"], unit %s → permitted: %s', (allowed, unit, expected) => {
    expect(permits([allowed], unit)).toBe(expected)
  })

  it('each command → a unit can not be taken for an option', () => {
    const commands = systemdCommands(block(['*']))
    for (const [name, { argv }] of Object.entries(commands)) {
      const isGuarded = argv.includes('--')
        ? argv.indexOf('--') < argv.indexOf('{unit}')
        : argv.includes('--unit={unit}')
      expect({ name, isGuarded }).toEqual({ name, isGuarded: true })
    }
    expect(Object.keys(commands)).toContain('systemd-reset-failed')
    expect(commands['systemd-journal']).toMatchObject({ read_only: true })
  })
})

import { describe, expect, it } from 'vitest'
import { pathPattern } from './path-pattern.ts'
import { byGeneration, isCompressed, rotatedFrom, rotatedNames } from './rotation-names.ts'

describe('names of older generations', () => {
  it.each([
    'app.log.1',
    'app.log.12',
    'app.log-20261121',
    'app.log-2026-11-21T10:00:00Z',
    'app.log.2026-11-21_10',
    'app.log-1795300000',
    'app.log.old',
    'app.log.3.gz',
    'app.1.log',
    'app-20261121.log',
    'app-20261121.log.xz',
  ])('%s → one', (name) => expect(rotatedNames('app.log')(name)).toBe(true))

  it.each([
    'app.log',
    'app.log.gz',
    'app-2.log',
    'app-error.log',
    'app.log.bak',
    'app.logs.1',
    'xapp.log.1',
    'app2.log',
    'other.log.1',
  ])('%s → none', (name) => expect(rotatedNames('app.log')(name)).toBe(false))

  it('no extension → recognised', () => {
    expect(rotatedNames('syslog')('syslog.1')).toBe(true)
    expect(rotatedNames('syslog')('syslog-20261121.gz')).toBe(true)
    expect(rotatedNames('syslog')('syslogd')).toBe(false)
  })

  it('any → lead back to the name', () => {
    expect(rotatedFrom('app.log.1')).toContain('app.log')
    expect(rotatedFrom('app.log-20261121.gz')).toContain('app.log')
    expect(rotatedFrom('app.log')).toEqual([])
  })

  it('order → numbers down, dates up', () => {
    const names = ['a.log.2', 'a.log.10', 'a.log.1.gz']
    expect(names.toSorted(byGeneration)).toEqual(['a.log.10', 'a.log.2', 'a.log.1.gz'])
    expect(['a.log-20261122', 'a.log-20261121'].toSorted(byGeneration)).toEqual(['a.log-20261121', 'a.log-20261122'])
    expect(byGeneration('a.log-20261122', 'a.log.1')).toBe(0)
  })

  it('compressed → recognised', () => {
    expect(isCompressed('a.log.1.gz')).toBe(true)
    expect(isCompressed('a.log')).toBe(false)
  })
})

describe('path patterns', () => {
  it('* and ? → whole names, no leading dots, nothing else special', () => {
    const pattern = pathPattern('/var/log/*/app?.[l]og')
    expect(pattern.matches('/var/log/x/app1.[l]og')).toBe(true)
    expect(pattern.matches('/var/log/x/app12.[l]og')).toBe(false)
    expect(pattern.matches('/var/log/.x/app1.[l]og')).toBe(false)
    expect(pattern.matches('/var/log/x/y/app1.[l]og')).toBe(false)
    expect(pattern.matches('/var/log/x/app1.log')).toBe(false)
  })
})

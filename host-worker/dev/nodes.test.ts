import { describe, expect, it } from 'vitest'
import type { Project } from '../config/project.ts'
import { devNodes } from './nodes.ts'

function project(worker: object | null = null): Project {
  return { coordinator: { datacenters: ['ams', 'fra'] }, worker } as unknown as Project
}

describe('devNodes', () => {
  it('named → these, in the first datacenter by default', () => {
    expect(devNodes(['a', 'b:web', 'c:web,db@fra', 'd@fra'], project())).toEqual([
      { name: 'a', types: [], datacenter: 'ams' },
      { name: 'b', types: ['web'], datacenter: 'ams' },
      { name: 'c', types: ['web', 'db'], datacenter: 'fra' },
      { name: 'd', types: [], datacenter: 'fra' },
    ])
  })

  it("not named → worker.hcl's, else one named local", () => {
    expect(devNodes([], project({ node: 'n', types: ['t'], datacenter: 'fra' }))).toEqual([
      { name: 'n', types: ['t'], datacenter: 'fra' },
    ])
    expect(devNodes([], project())).toEqual([{ name: 'local', types: ['local'], datacenter: 'ams' }])
  })

  it.each(['', 'A', 'a:', 'a:web,', 'a@', 'a@nowhere', 'a:b:c', 'a@ams@fra', 'a/b'])('refuses %j', (spec) => {
    expect(() => devNodes([spec], project())).toThrow(/--node/)
  })

  it('named twice → refused', () => expect(() => devNodes(['a', 'a:web'], project())).toThrow('twice'))
})

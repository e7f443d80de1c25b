import { describe, expect, it } from 'vitest'
import { InterpolationError, interpolate, labelsIn } from './interpolate.ts'

const FIRING = {
  labels: { node: 'web-1', constructor_: 'x' },
  annotations: { runbook: 'r1' },
  value: '0.25',
}

describe('interpolate', () => {
  it('templates → filled in all texts', () => {
    const value = {
      node: '${labels.node}',
      list: ['v=${value}', 3, null],
      note: '${annotations.runbook} for ${labels.node}',
    }
    expect(interpolate(value, FIRING)).toEqual({ node: 'web-1', list: ['v=0.25', 3, null], note: 'r1 for web-1' })
  })

  it.each(['${labels.absent}', '${labels.toString}', '${annotations.node}'])(
    'refuses %s, which the signal does not carry',
    (text) => {
      expect(() => interpolate(text, FIRING)).toThrow(InterpolationError)
    },
  )

  it('name with other characters → by its index', () => {
    const labels = { 'host.name': 'web-1', 'instance-id': 'i-1' }
    const text = '${labels["host.name"]} ${labels["instance-id"]}'
    expect(interpolate(text, { ...FIRING, labels })).toBe('web-1 i-1')
    expect(() => interpolate('${labels["other name"]}', { ...FIRING, labels })).toThrow(InterpolationError)
  })

  it('escaped → literal', () => {
    expect(interpolate('$${value} is ${value}', FIRING)).toBe('${value} is 0.25')
  })

  it('filled-in text → not interpolated again', () => {
    expect(interpolate('${labels.x}', { ...FIRING, labels: { x: '${value}' } })).toBe('${value}')
  })
})

describe('labelsIn', () => {
  it('value with placeholders → names of its labels, each once', () => {
    const value = { node: '${labels.node}', list: ['${labels["host.name"]} ${labels.node}', 3, null], v: '${value}' }
    expect(labelsIn(value)).toEqual(['node', 'host.name'])
  })

  it('escaped, or of annotations → none', () => {
    expect(labelsIn(['$${labels.node}', '${annotations.node}'])).toEqual([])
  })
})

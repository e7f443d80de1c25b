import { expect, it } from 'vitest'
import { isName, queuesOfNode } from './names.ts'

it.each(['a', 'web-1', 'a.b_c', '0', 'x'.repeat(63)])('%s is a name', (name) => expect(isName(name)).toBe(true))

it.each(['', '-a', '.a', 'A', 'a..b', 'a/b', 'a%2Fb', 'a b', 'ä', '😀', 'x'.repeat(64), 'a\n', '../a'])(
  '%j is none',
  (name) => expect(isName(name)).toBe(false),
)

it("queues: a node → its datacenter's, its types' and its own", () => {
  expect(queuesOfNode('dc1', 'web-1', ['web', 'edge'])).toEqual([
    'dc1',
    'dc1:type:web',
    'dc1:type:edge',
    'dc1:node:web-1',
  ])
})

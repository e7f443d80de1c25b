import { expect, it } from 'vitest'
import { judgeQueue } from './temporal-checks.ts'

const by = (...identities: string[]) => identities.map((identity) => ({ identity, seenAt: 0 }))

it('queues: no poller → fail; other pollers only → warning', () => {
  expect(judgeQueue('dc1', [], 'web-1')).toMatchObject({ status: 'fail', detail: 'no worker polls dc1' })
  expect(judgeQueue('dc1', by('web-2/7', 'web-1/8'), 'web-1').status).toBe('ok')
  // A name is not another's because it begins with it.
  expect(judgeQueue('dc1', by('web-10/8'), 'web-1')).toMatchObject({
    status: 'warn',
    detail: 'dc1 is polled by web-10/8, not by web-1',
  })
  expect(judgeQueue('dc1', by('a/1', 'b/1', 'c/1', 'd/1', 'e/1', 'a/1'), 'web-1').detail).toContain('and 2 more')
})

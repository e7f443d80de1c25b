import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApplicationFailure } from '@temporalio/common'
import { expect, it, onTestFinished } from 'vitest'
import type { ChangeScope } from '../../permits/gate.ts'
import { order, testHost } from '../../testing/change-host.ts'
import { poolActivities } from './activities.ts'

it.each(['drainServer', 'returnServer'] as const)(
  '%s needs a permit for the node that is changed',
  async (activity) => {
    const requests: string[] = []
    const hook = createServer((request, response) => {
      requests.push(request.method ?? '')
      response.end('{"servers": []}')
    })
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      hook.closeAllConnections()
      hook.close()
    })
    const subjects: unknown[] = []
    const permits = {
      async check({ subject }: ChangeScope = {}): Promise<never> {
        subjects.push(subject)
        throw ApplicationFailure.nonRetryable('no', 'PermitRefused')
      },
    }
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`
    const web = { min_servers: 0, servers: {}, timeout: 5000, http: { url } }
    const host = { ...testHost(), node: 'lb-1', permits, loadBalancers: { web } }
    const asked = order()().run(poolActivities(host)[activity], { pool: 'web', node: 'web-1' })
    await expect(asked).rejects.toMatchObject({ type: 'PermitRefused' })
    expect([subjects, requests]).toEqual([['web-1'], []])
  },
)

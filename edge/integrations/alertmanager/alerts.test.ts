import { abortAllDurableObjects } from 'cloudflare:test'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LedgerObject } from '../../ledger/ledger.ts'
import { alert, decisions, deliver } from '../../testing/alertmanager.ts'
import { request, sendHeartbeats } from '../../testing/coordinator.ts'
import { cleanUp, freshTemporal } from '../../testing/fresh.ts'
import type { FakeTemporal } from '../../testing/temporal.ts'

let temporal: FakeTemporal
beforeEach(async () => {
  temporal = await freshTemporal()
})
afterEach(cleanUp)

describe('firing alert', () => {
  it('label remediation → starts that workflow on the target of its labels', async () => {
    const sent = alert({ remediation: 'free', node: 'web-1', datacenter: 'dc1' })
    const { status, items } = await deliver([sent])
    expect(status).toBe(200)
    expect(items).toEqual([
      {
        fingerprint: sent.fingerprint,
        status: 'firing',
        detector: null,
        workflow: 'free',
        outcome: 'admitted',
        code: null,
        detail: null,
        decision: temporal.starts[0]?.workflowId,
        execution: temporal.starts[0]?.workflowId,
        retry: false,
      },
    ])
    expect(await decisions()).toMatchObject([
      {
        caller: 'anonymous',
        target: { node: 'web-1', datacenter: 'dc1' },
        reason: 'BlackBox Probe Failure',
        trigger: { source: 'alertmanager', name: 'ProbeFailure', fingerprint: sent.fingerprint },
      },
    ])
  })

  it.each([
    ['on-type', { node: 'web-1' }, { node_type: 'database' }],
    ['any-type', { node: 'web-1', node_type: 'database' }, { node_type: 'database' }],
    ['anywhere', { node: 'web-1', node_type: 'web', datacenter: 'dc1' }, { datacenter: 'dc1' }],
  ])('%s with labels %j → target %j', async (workflow, labels, target) => {
    const { items } = await deliver([alert({ remediation: workflow, ...labels })])
    expect(items).toMatchObject([{ outcome: 'admitted' }])
    expect((await decisions())[0]?.target).toEqual(target)
  })

  it('several detectors match → a separate start each', async () => {
    const labels = { alertname: 'ServiceSick', severity: 'critical', node: 'web-1', unit: 'nginx' }
    const { items } = await deliver([
      alert(labels),
      alert({ ...labels, severity: 'warning' }),
      alert({ alertname: 'Twofold', remediation: 'anywhere' }),
      alert({ alertname: 'Twofold', remediation: 'free', node: 'web-1' }),
    ])
    expect(items.map(({ detector, workflow, outcome }) => [detector, workflow, outcome])).toEqual([
      ['sick', 'typed', 'admitted'],
      [null, null, 'ignored'],
      ['again', 'free', 'admitted'],
      [null, 'anywhere', 'admitted'],
      ['again', 'free', 'admitted'],
    ])
    const typed = (await decisions()).find(({ workflow }) => workflow === 'typed')
    expect(typed).toMatchObject({ target: { node: 'web-1' }, trigger: { name: 'sick' } })
  })

  it('very long names → cut in answers, decisions and log', async () => {
    const alertname = 'A'.repeat(300_000)
    const { items, body } = await deliver([
      alert({ alertname, remediation: 'free', node: 'web-1' }),
      alert({ alertname, remediation: 'b'.repeat(300_000) }),
    ])
    expect(items).toMatchObject([
      { outcome: 'admitted' },
      { outcome: 'refused', code: 'unknown_workflow', workflow: 'b'.repeat(255) },
    ])
    expect(JSON.stringify([body, await decisions()]).length).toBeLessThan(4000)
  })

  it('no fingerprint → identified by its labels', async () => {
    const labels = { remediation: 'free', node: 'web-1' }
    const first = await deliver([alert(labels, { fingerprint: undefined })])
    const again = await deliver([alert(labels, { fingerprint: '' })])
    expect(first.items[0]?.fingerprint).toMatch(/^[0-9a-f]{16}$/)
    expect(again.items).toEqual(first.items)
    const other = await deliver([alert({ ...labels, job: 'other' }, { fingerprint: '' })])
    expect(other.items[0]?.fingerprint).not.toBe(first.items[0]?.fingerprint)
    expect(temporal.starts).toHaveLength(2)
  })

  it('sent again, with other annotations → started once; a new startsAt → started again', async () => {
    const sent = alert({ remediation: 'free', node: 'web-1' })
    const first = await deliver([sent])
    const changed = { ...sent, annotations: { summary: 'now 93%' }, startsAt: '2023-02-06T14:08:45.828+01:00' }
    const answers = await Promise.all(Array.from({ length: 5 }, () => deliver([changed])))
    for (const { status, items } of answers) expect({ status, items }).toEqual({ status: 200, items: first.items })
    await abortAllDurableObjects()
    await sendHeartbeats()
    expect((await deliver([sent])).items).toEqual(first.items)
    expect(temporal.starts).toHaveLength(1)
    await deliver([{ ...sent, startsAt: '2023-02-06T13:09:45.828Z' }])
    expect(temporal.starts).toHaveLength(2)
  })
})

describe('alert that starts nothing', () => {
  it('resolved → says so', async () => {
    const { status, items } = await deliver([
      alert({ remediation: 'free', node: 'web-1' }, { status: 'resolved', endsAt: '2023-02-06T14:00:00Z' }),
    ])
    expect(status).toBe(200)
    expect(items).toMatchObject([{ status: 'resolved', outcome: 'resolved', workflow: null, retry: false }])
    expect(temporal.starts).toEqual([])
    expect(await decisions()).toEqual([])
  })

  it('no label and no detector → ignored', async () => {
    const { status, items } = await deliver([alert({}), alert({ remediation: '' })])
    expect(status).toBe(200)
    expect(items).toMatchObject([{ outcome: 'ignored', detail: expect.stringContaining('no label remediation') }, {}])
  })

  it.each<[string, Record<string, string>, string, string]>([
    ['an unknown workflow', { remediation: 'no' }, 'unknown_workflow', 'there is no workflow "no"'],
    ['what is no name', { remediation: '../x' }, 'unknown_workflow', '../x'],
    ['an inherited name', { remediation: 'constructor' }, 'unknown_workflow', 'constructor'],
    ['a node where none is named', { remediation: 'free' }, 'invalid_target', '/target/node: is required'],
    ['a node that is no name', { remediation: 'free', node: 'WEB' }, 'invalid_target', '/target/node: not a name'],
    [
      'another datacenter',
      { remediation: 'free', node: 'web-1', datacenter: 'x' },
      'invalid_target',
      'serves dc1, dc2',
    ],
    [
      'an input that is not there',
      { remediation: 'typed', node: 'web-1' },
      'invalid_input',
      '/input/unit: is required',
    ],
    ['a label that it lacks', { alertname: 'ServiceSick', severity: 'critical' }, 'invalid_target', 'labels.node'],
    ['a value, as it has none', { alertname: 'Valued' }, 'invalid_target', '${value}'],
  ])('%s → refused in its item and the log, and not retried', async (_, labels, code, detail) => {
    const log = vi.spyOn(console, 'log')
    const { status, items } = await deliver([alert(labels), alert({ remediation: 'free', node: 'web-1' })])
    expect(status).toBe(200)
    expect(items).toMatchObject([
      { outcome: 'refused', code, detail: expect.stringContaining(detail), decision: null, retry: false },
      { outcome: 'admitted' },
    ])
    expect(temporal.starts).toHaveLength(1)
    const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>)
    expect(lines).toContainEqual(expect.objectContaining({ event: 'trigger_denied', level: 'warn', code }))
  })

  it('annotations too large for an input → refused', async () => {
    const labels = { alertname: 'ServiceSick', severity: 'critical', node: 'web-1', unit: 'nginx' }
    const { items } = await deliver([alert(labels, { annotations: { summary: 'x'.repeat(70_000) } })])
    expect(items).toMatchObject([
      { outcome: 'refused', code: 'invalid_input', detail: expect.stringContaining('64 KiB') },
    ])
  })
})

describe('group with starts that may be admitted later', () => {
  it('some denied → 503 with retry, the others not started twice', async () => {
    const sent = [
      ...Array.from({ length: 4 }, () => alert({ alertname: 'Limited' })),
      alert({ remediation: 'free', node: 'web-1' }),
      alert({ remediation: 'free', node: 'web-9' }),
    ]
    const first = await deliver(sent)
    expect(first).toMatchObject({ status: 503, body: { code: 'try_again', type: 'urn:resile:problem:try_again' } })
    expect(first.headers.get('content-type')).toBe('application/problem+json')
    expect(first.headers.get('retry-after')).toBe('5')
    expect(first.body.detail).toBe(
      "2 of 6 can't be started now (constraint_denied, no_worker); what was started is not started again",
    )
    const denied = first.items.filter(({ retry }) => retry)
    expect(denied).toMatchObject([
      { outcome: 'denied', code: 'constraint_denied', execution: null, decision: expect.stringMatching(/^0/) },
      { outcome: 'denied', code: 'no_worker' },
    ])
    expect(temporal.starts).toHaveLength(4)
    const again = await deliver(sent)
    expect(again.status).toBe(503)
    expect(temporal.starts).toHaveLength(4)
    await sendHeartbeats(['web-9'])
    const third = await deliver(sent.filter((one) => one.fingerprint !== denied[0]?.fingerprint))
    expect(third.status).toBe(200)
    expect(temporal.starts).toHaveLength(5)
  })

  it('frozen → 503 with retry', async () => {
    await request('POST', '/v1/freezes', { scope: {}, reason: 'test' })
    const { status, items } = await deliver([alert({ remediation: 'free', node: 'web-1' })])
    expect({ status, items }).toMatchObject({ status: 503, items: [{ outcome: 'denied', code: 'frozen' }] })
  })

  it('ledger unavailable → 503 with retry, what was admitted anyway stays one', async () => {
    const submit = vi.spyOn(LedgerObject.prototype, 'submit').mockImplementation(async () => {
      throw new Error('connection lost')
    })
    const sent = [alert({ remediation: 'free', node: 'web-1' })]
    const { status, items } = await deliver(sent)
    expect(status).toBe(503)
    expect(items).toMatchObject([{ outcome: 'undecided', code: 'ledger_unavailable', retry: true }])
    expect(items[0]?.decision).toMatch(/^0/)
    submit.mockRestore()
    expect((await deliver(sent)).status).toBe(200)
    expect(temporal.starts).toHaveLength(1)
  })

  it('ledger hangs → answered in time, undecided', { timeout: 30_000 }, async () => {
    vi.spyOn(LedgerObject.prototype, 'submit').mockReturnValue(new Promise(() => undefined))
    const sent = Array.from({ length: 20 }, () => alert({ remediation: 'free', node: 'web-1' }))
    const { status, items } = await deliver(sent)
    expect(status).toBe(503)
    expect(items.every(({ code, retry }) => code === 'overloaded' && retry)).toBe(true)
    expect(items).toHaveLength(20)
  })
})

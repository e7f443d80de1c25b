/** An alert rule with two labels, a workflow's HCL and a host's allow-list, and nothing else, heal a real process. */
import { beforeAll, describe, expect, test } from 'vitest'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { counterOf, startAlertmanager } from '../support/alertmanager.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { writeProject } from '../support/files.ts'
import type { Decision, Execution, List } from '../support/http.ts'
import { freePort } from '../support/ports.ts'
import { startPrometheus } from '../support/prometheus.ts'
import { keepRunning, type Sample } from '../support/sample.ts'
import { stays, until } from '../support/until.ts'

// The skip message names the missing package.
const lacking = lacks('prometheus') ? 'prometheus' : 'prometheus-alertmanager'

describe.skipIf(lacks(lacking))(`${titled('real Prometheus and Alertmanager', lacking)}`, () => {
  let dev: Dev
  let sampleUrl: string
  let service: Sample
  let alertmanager: string

  beforeAll(async () => {
    const samplePort = await freePort()
    sampleUrl = `http://127.0.0.1:${samplePort}`
    service = keepRunning(samplePort)
    const project = writeProject({
      'worker.hcl': `
        node = "web-1"
        datacenter = "dc1"
        command "restart" {
          argv = ["/bin/sh", "-c", "kill -9 $(cat ${service.pidFile})"]
          workflows = ["restart-service"]
        }`,
      'workflows/restart-service.hcl': `
        task_queue_target = "node"
        input "command" {
          type    = "string"
          default = "restart"
        }
        input "check" {
          type    = "object"
          default = { url = "${sampleUrl}/" }
        }
        constraint {
          kind  = "concurrency"
          value = 1
          per   = "node"
        }`,
    })
    dev = await startDev({ project, nodes: ['web-1'] })
    alertmanager = await startAlertmanager({
      // As often as possible: a repeated alert must not start anything again.
      route: { receiver: 'resile', group_by: ['...'], group_wait: '0s', group_interval: '1s', repeat_interval: '1s' },
      receivers: [
        {
          name: 'resile',
          webhook_configs: [{ url: `${dev.coordinator}/v1/triggers/alertmanager`, send_resolved: true }],
        },
      ],
    })
    await startPrometheus({ sample: { target: `127.0.0.1:${samplePort}`, node: 'web-1' } }, undefined, {
      alertmanager,
      rules: [
        {
          alert: 'SampleSick',
          expr: 'sample_healthy == 0',
          labels: { remediation: 'restart-service' },
          annotations: { summary: 'the sample on {{ $labels.node }} is sick' },
        },
      ],
    })
    await until('the sample is watched', isHealthy)
  })

  const isHealthy = async (): Promise<boolean> => (await fetch(sampleUrl)).status === 200
  const breakIt = async (): Promise<void> => {
    expect((await fetch(`${sampleUrl}/break`, { method: 'POST' })).ok).toBe(true)
    expect(await isHealthy()).toBe(false)
  }
  const admitted = async (): Promise<Decision[]> => {
    const { body } = await dev.call<List<Decision>>('/v1/decisions?outcome=admitted')
    return body.items
  }
  const executions = async (): Promise<Execution[]> => (await dev.call<List<Execution>>('/v1/executions')).body.items
  const notifications = () => counterOf(alertmanager, 'alertmanager_notifications_total')
  const failed = () => counterOf(alertmanager, 'alertmanager_notification_requests_failed_total')

  test('alert fires → process healed', async () => {
    await breakIt()
    await until('it is healthy again', isHealthy, { within: 150_000 })
    expect(service.starts()).toBe(2)
    const [decision, ...others] = await admitted()
    expect(others).toEqual([])
    expect(decision).toMatchObject({
      workflow: 'restart-service',
      target: { node: 'web-1' },
      reason: 'the sample on web-1 is sick',
      trigger: { source: 'alertmanager', name: 'SampleSick', fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) },
    })
    await dev.reaches(decision?.id ?? '', 'completed')
  })

  test('alert sent again and again → one execution', async () => {
    // While everything is frozen nothing is admitted, and Alertmanager is asked to retry, later each time.
    const before = { admitted: (await admitted()).length, starts: service.starts(), failed: await failed() }
    const { body: freeze } = await dev.call<{ id: string }>('/v1/freezes', { body: { scope: {}, reason: 'retries' } })
    await breakIt()
    await until('attempts have failed', async () => (await failed()) >= before.failed + 2, { within: 150_000 })
    expect(await admitted()).toHaveLength(before.admitted)
    expect((await dev.call(`/v1/freezes/${freeze.id}`, { method: 'DELETE' })).status).toBe(204)
    await until('it is healthy again', isHealthy, { within: 150_000 })
    const notified = await notifications()
    const isResolved = async (): Promise<boolean> => {
      const answer = await fetch(`${alertmanager}/api/v2/alerts?active=true`)
      return ((await answer.json()) as unknown[]).length === 0
    }
    // The alert fires until Prometheus scrapes a healthy sample; then it is sent as resolved, which may have been by now.
    const isOver = async (): Promise<boolean> => (await notifications()) > notified || isResolved()
    await until('more was sent', isOver, { within: 150_000 })
    await stays(
      'there is one execution',
      async () => (await admitted()).length === before.admitted + 1 && service.starts() === before.starts + 1,
      5000,
    )
  })

  test('long-lived group of alerts, sent again → one execution each', async () => {
    const before = (await executions()).length
    const notified = await notifications()
    const alerts = ['a', 'b', 'c'].map((disk) => ({
      labels: { alertname: 'Group', remediation: 'restart-service', node: 'web-1', disk },
      startsAt: new Date().toISOString(),
    }))
    const post = () =>
      fetch(`${alertmanager}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(alerts),
      })
    await until(
      'they were sent many times, and each has led to an execution that has ended',
      async () => {
        await post()
        const now = await executions()
        const ended = now.filter(({ closed_at }) => closed_at !== null)
        return ended.length === before + 3 && (await notifications()) >= notified + 12
      },
      { within: 90_000 },
    )
    expect(await executions()).toHaveLength(before + 3)
    expect(await dev.temporal.listOnce('restartService', before + 3)).toHaveLength(before + 3)
  })

  test('resile signals → what became of each', async () => {
    await until('the ends of the alerts were told', async () => {
      const { stdout } = await dev.resile('signals', '--name', 'SampleSick', '--json')
      const [signal] = (JSON.parse(stdout) as { items: { windows: { '1d': Record<string, number> } }[] }).items
      const counts = signal?.windows['1d']
      // It fired again soon after the first remediation, which was therefore not effective.
      return counts?.['fired'] === 2 && counts['open'] === 0 && counts['helped'] === 1 && counts['flapped'] === 1
    })
  })
})

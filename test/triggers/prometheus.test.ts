import { beforeAll, describe, expect, test } from 'vitest'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { writeProject } from '../support/files.ts'
import type { Decision, List } from '../support/http.ts'
import { freePort } from '../support/ports.ts'
import { type Prometheus, startPrometheus } from '../support/prometheus.ts'
import { keepRunning, type Sample } from '../support/sample.ts'
import { until } from '../support/until.ts'

describe.skipIf(lacks('prometheus'))(`${titled('real Prometheus', 'prometheus')}`, () => {
  let sampleUrl: string
  let prometheusUrl: string
  let service: Sample
  let query: Prometheus['query']
  let dev: Dev

  beforeAll(async () => {
    const samplePort = await freePort()
    const prometheusPort = await freePort()
    prometheusUrl = `http://127.0.0.1:${prometheusPort}`
    sampleUrl = `http://127.0.0.1:${samplePort}`
    service = keepRunning(samplePort)
    const project = writeProject({
      // As under systemd: it is killed, and its supervisor restarts it.
      'worker.hcl': `
        node = "web-1"
        datacenter = "dc1"
        command "restart" {
          argv = ["/bin/sh", "-c", "kill -9 $(cat ${service.pidFile})"]
          workflows = ["restart-service"]
        }`,
      'detectors.hcl': `
        detector "sample-unhealthy" {
          workflow = "restart-service"
          interval = "1s"
          target { node = "\${labels.node}" }
          input = { command = "restart", check = { url = "${sampleUrl}/" }, verify_for = "20s" }
          prometheus {
            url = "${prometheusUrl}"
            query = "sample_healthy == 0"
          }
        }`,
      'workflows/restart-service.hcl': `
        task_queue_target = "node"
        constraint {
          kind = "concurrency"
          value = 1
          per = "node"
        }`,
    })
    dev = await startDev({ project, nodes: ['web-1'] })
    const prometheus = await startPrometheus(
      {
        sample: { target: `127.0.0.1:${samplePort}`, node: 'web-1' },
        resile: { target: new URL(dev.coordinator).host, node: 'coordinator' },
      },
      prometheusPort,
    )
    query = (text) => prometheus.query(text)
  })

  const isHealthy = async () => (await fetch(sampleUrl)).status === 200

  test('sample service → scraped', async () => {
    await until('the sample is healthy by its metric', async () => (await query('sample_healthy')).includes('1'))
    expect(await query('up{job="sample"}')).toEqual(['1'])
  })

  test('coordinator → scraped', async () => {
    await until('the coordinator has been scraped', async () => (await query('up{job="resile"}')).includes('1'))
    await until('a metric of it is there', async () =>
      (await query('resile_nodes_live{datacenter="dc1"}')).includes('1'),
    )
  })

  test('metric fires → sample healed', async () => {
    expect((await fetch(`${sampleUrl}/break`, { method: 'POST' })).ok).toBe(true)
    expect(await isHealthy()).toBe(false)
    await until('the sample is healthy again', isHealthy, { within: 60_000 })
    expect(service.starts()).toBe(2)
    const { body } = await dev.call<List<Decision>>('/v1/decisions?workflow=restart-service&outcome=admitted')
    expect(body.items).toHaveLength(1)
    expect(body.items[0]).toMatchObject({
      trigger: { source: 'prometheus', name: 'sample-unhealthy', fingerprint: expect.stringMatching(/./) },
      target: { node: 'web-1' },
    })
    await dev.reaches(body.items[0]?.id ?? '', 'completed')
  })

  test('resolved → quiet; fires again → healed again', async () => {
    await until('Prometheus has seen it', async () => (await query('sample_healthy == 0')).length === 0)
    await fetch(`${sampleUrl}/break`, { method: 'POST' })
    await until('the sample is healthy again', isHealthy, { within: 60_000 })
    await until('two executions are completed', async () => {
      const { body } = await dev.call<List<{ status: string }>>('/v1/executions')
      return body.items.length === 2 && body.items.every(({ status }) => status === 'completed')
    })
    expect(service.starts()).toBe(3)
  })
})

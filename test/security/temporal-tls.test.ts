/** Temporal behind TLS that demands client certificates, reached by a real coordinator and a real worker. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type TestAuthority, type TestCertificate, testAuthority } from '../support/certificates.ts'
import { atEnd } from '../support/cleanup.ts'
import { type Coordinator, startCoordinator } from '../support/coordinator.ts'
import { dataDirectory } from '../support/data.ts'
import { napping, writeProject } from '../support/files.ts'
import type { Execution } from '../support/http.ts'
import { type Running, resile, startResile } from '../support/processes.ts'
import { type TlsTemporal, temporalWithTls } from '../support/temporal-tls.ts'
import { until } from '../support/until.ts'

const NAME = 'temporal.example.org'
const RELOADED = 'temporal_credentials_reloaded'
const rules = `server_config {
  route_rule {
    name = "operators"
    method = "*"
    route_patterns = ["/*"]
    uris = ["spiffe://example.org/operator"]
  }
}`

let authority: TestAuthority
let temporal: TlsTemporal
let coordinator: Coordinator
let project: string
const replace = (name: string, text: string): void => {
  writeFileSync(join(project, `${name}.new`), text, { mode: 0o600 })
  renameSync(join(project, `${name}.new`), join(project, name))
}
const use = ({ certPem, keyPem }: TestCertificate): void => {
  replace('client.pem', certPem)
  replace('client-key.pem', keyPem)
}

let first: TestCertificate
let worker: Running
beforeAll(async () => {
  authority = await testAuthority()
  temporal = await temporalWithTls(authority, NAME)
  const credentials = `
    namespace = "${temporal.namespace}"
    ca_file = "temporal-ca.pem"
    cert_file = "client.pem"
    key_file = "client-key.pem"
    server_name = "${NAME}"`
  project = writeProject({
    'coordinator.hcl': `datacenter = "dc1"
${rules}
temporal {
  http_url = "https://127.0.0.1:${temporal.httpPort}"${credentials}
}`,
    'worker.hcl': `node = "web-1"
datacenter = "dc1"
temporal {
  address = "127.0.0.1:${temporal.grpcPort}"${credentials}
}`,
    ...napping('nap', 'task_queue_target = "datacenter"'),
  })
  replace('temporal-ca.pem', authority.caPem)
  first = await authority.issue()
  use(first)
  coordinator = await startCoordinator({ project })
  const where = ['--project', project, '--data', dataDirectory()]
  worker = startResile(['worker', ...where, '--coordinator', `unix:${coordinator.socket}`, '--workflows'])
  const isServed = async () => (await coordinator.callSocket('/v1/nodes/web-1')).status === 200
  await until('the worker serves its queues', isServed, { within: 60_000 })
  atEnd(async () => {
    worker.kill('SIGTERM')
    await worker.ended
  })
})

/** Runs a workflow to its end. */
async function ran(): Promise<void> {
  const started = await coordinator.callSocket<{ execution: { id: string } }>('/v1/workflows/nap/executions', {
    method: 'POST',
    body: { target: { datacenter: 'dc1' } },
  })
  expect([201, 202], JSON.stringify(started.body)).toContain(started.status)
  await until(
    'the execution is completed',
    async () => {
      const { body } = await coordinator.callSocket<Execution>(`/v1/executions/${started.body.execution.id}`)
      return body.status === 'completed'
    },
    { within: 90_000 },
  )
}

describe('Temporal that demands client certificates', () => {
  test('coordinator and worker with certificates → executions run', async () => {
    await ran()
    const { grpc, http } = temporal.accepted() ?? { grpc: [first.serial], http: [first.serial] }
    expect(new Set([...grpc, ...http])).toEqual(new Set([first.serial]))
  })

  test('certificate replaced and the old one revoked → executions run with the new one', async () => {
    const second = await authority.issue()
    use(second)
    const isUsed = () => temporal.accepted()?.grpc.includes(second.serial) ?? worker.said.stdout.includes(RELOADED)
    await until('the worker has connected with it', isUsed, { within: 30_000 })
    temporal.revoke(first.serial)
    await ran()
    expect(temporal.accepted()?.http ?? [second.serial]).toContain(second.serial)
  })

  test('doctor → Temporal is reached with the certificates of worker.hcl, and not without', async () => {
    const findings = async (...options: string[]): Promise<string> => {
      const { stdout } = await resile(['doctor', '--project', project, ...options])
      return stdout
    }
    expect(await findings()).toMatch(/temporal\s+ok/)
    expect(await findings('--temporal-plaintext')).toMatch(/temporal\s+fail/)
  })
})

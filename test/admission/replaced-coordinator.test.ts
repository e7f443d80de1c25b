/** A coordinator that gets new keys that sign permits, or new secrets, while it runs. */
import { randomBytes, randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { frontSocketPath } from '../../host-worker/coordinator/socket-path.ts'
import { temporaryDirectory, writeProject } from '../support/files.ts'
import { freePort } from '../support/ports.ts'
import { resile, startResile } from '../support/processes.ts'
import { until } from '../support/until.ts'

test('coordinator: can not start with new permit keys for a while → started again until it answers', async () => {
  const project = writeProject({
    'coordinator.hcl': `
      datacenter = "dc1"
      server_config {
        route_rule {
          name           = "alive"
          method         = "GET"
          route_patterns = ["/healthz"]
          allow_public   = true
        }
      }`,
  })
  const data = temporaryDirectory()
  const port = await freePort()
  const coordinator = startResile([
    'coordinator',
    '--project',
    project,
    '--data',
    data,
    '--listen',
    `127.0.0.1:${port}`,
  ])
  const isAlive = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok
  await until('it answers', isAlive)
  // Something else is now where its socket was, and the coordinator can't remove it.
  const socket = frontSocketPath(data)
  rmSync(socket)
  mkdirSync(socket)
  await resile(['certs', '--out', join(data, 'certs'), '--rotate-permit-key'])
  await until('it has ended', () => coordinator.said.stdout.includes('child_ended'))
  await delay(3000)
  rmdirSync(socket)
  expect(await until('it answers again', isAlive)).toBe(true)
  coordinator.kill('SIGTERM')
  expect((await coordinator.ended).code).toBe(0)
})

test('coordinator: file of a secret replaced → the new one is used; unreadable → the last one stays in use', async () => {
  const secrets = [newSecret(), newSecret(), newSecret()] as const
  const files = { 'ci.secret': secrets[0] }
  const { project, coordinator, statusWith } = await webhookCoordinator(files, 'secret_file = "ci.secret"')
  const replace = (secret: string) => {
    writeFileSync(join(project, 'new.secret'), secret)
    renameSync(join(project, 'new.secret'), join(project, 'ci.secret'))
  }
  expect(await Promise.all(secrets.map(statusWith))).toEqual([404, 401, 401])

  replace(secrets[1])
  await until('the new one is used', async () => (await statusWith(secrets[1])) === 404)
  expect(await statusWith(secrets[0])).toBe(401)

  rmSync(join(project, 'ci.secret'))
  mkdirSync(join(project, 'ci.secret'))
  await until('it can not be read', () => coordinator.said.stdout.includes('secrets_not_reloaded'))
  expect(await statusWith(secrets[1])).toBe(404)

  rmdirSync(join(project, 'ci.secret'))
  replace(secrets[2])
  await until('the last one is used', async () => (await statusWith(secrets[2])) === 404)
  coordinator.kill('SIGTERM')
  expect((await coordinator.ended).code).toBe(0)
})

test('coordinator: previous secret removed, others replaced → the removed one is refused, each reload or why not is logged', async () => {
  const secrets = [newSecret(), newSecret(), newSecret()] as const
  const { project, coordinator, statusWith } = await webhookCoordinator(
    { 'ci.secret': secrets[0], 'ci.secret.old': secrets[1] },
    'secret_file = "ci.secret"\nprevious_secret_file = "ci.secret.old"',
  )
  expect(await Promise.all(secrets.map(statusWith))).toEqual([404, 404, 401])

  rmSync(join(project, 'ci.secret.old'))
  await until('the removed one is refused', async () => (await statusWith(secrets[1])) === 401)
  expect(await statusWith(secrets[0])).toBe(404)

  const file = join(project, 'ci.secret')
  const refusals = () => coordinator.said.stdout.split('secrets_not_reloaded').length - 1
  writeFileSync(file, '')
  await until('it says that it is empty', () => refusals() === 1)
  writeFileSync(file, secrets[2])
  chmodSync(file, 0o666)
  await until('it says that others may write it', () => refusals() >= 2)
  expect(await statusWith(secrets[0])).toBe(404)
  chmodSync(file, 0o600)
  await until('the new one is used', async () => (await statusWith(secrets[2])) === 404)
  expect(await statusWith(secrets[0])).toBe(401)
  coordinator.kill('SIGTERM')
  expect((await coordinator.ended).code).toBe(0)
})

/** A coordinator with the webhook `ci`, and the status of a message to it that a secret has signed. */
async function webhookCoordinator(secretFiles: Record<string, string>, webhook: string) {
  const project = writeProject({
    ...secretFiles,
    'coordinator.hcl': `
      datacenter = "dc1"
      server_config {
        route_rule {
          name           = "webhooks"
          method         = "POST"
          route_patterns = ["/v1/triggers/webhook/*", "/v1/workflows/*/executions"]
          uris           = ["webhook:ci"]
        }
      }
      webhook "ci" {
        ${webhook}
      }`,
  })
  const port = await freePort()
  const listen = ['--listen', `127.0.0.1:${port}`]
  const coordinator = startResile(['coordinator', '--project', project, '--data', temporaryDirectory(), ...listen])
  await until('it is ready', () => coordinator.said.stdout.includes('resile ready'))
  // There is no such workflow, which only a sender with a valid signature is told.
  const statusWith = (secret: string) => statusOf(`http://127.0.0.1:${port}/v1/triggers/webhook/ci`, secret)
  return { project, coordinator, statusWith }
}

function newSecret(): string {
  return randomBytes(32).toString('base64')
}

/** Sends a signed message that names a workflow. */
async function statusOf(url: string, secret: string): Promise<number> {
  const body = JSON.stringify({ type: 'resile.trigger', data: { workflow: 'no-such' } })
  const id = `msg_${randomUUID()}`
  const at = new Date()
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  }
  return (await fetch(url, { method: 'POST', headers, body })).status
}

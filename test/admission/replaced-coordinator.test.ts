/** New keys that sign permits, and a coordinator that can't start with them for the time being. */
import { mkdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
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

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/files.ts'
import { type TemporalAddress, TemporalConnector } from './temporal-connector.ts'

const address = '127.0.0.1:7233'
const optionsOf = async (temporal: TemporalAddress) => {
  const connector = new TemporalConnector(temporal)
  return connector.options(await connector.credentials())
}

test('Temporal connection: nothing but a loopback address → no TLS', async () => {
  expect(await optionsOf({ address })).toEqual({ address, tls: false })
})

test('Temporal connection: plaintext = false → TLS by public CAs', async () => {
  expect(await optionsOf({ address, plaintext: false })).toEqual({ address, tls: {} })
})

test('Temporal connection: API key → TLS, unless plaintext = true', async () => {
  const api_key_file = join(temporaryDirectory(), 'token')
  writeFileSync(api_key_file, 'secret-token\n', { mode: 0o600 })
  expect(await optionsOf({ address, api_key_file })).toEqual({ address, tls: {}, apiKey: 'secret-token' })
  expect(await optionsOf({ address, api_key_file, plaintext: true })).toMatchObject({ tls: false })
})

test('Temporal connection: server name and CA → both used', async () => {
  const ca_file = join(temporaryDirectory(), 'ca.pem')
  writeFileSync(ca_file, 'a CA', { mode: 0o600 })
  expect(await optionsOf({ address, ca_file, server_name: 'temporal.internal' })).toEqual({
    address,
    tls: { serverNameOverride: 'temporal.internal', serverRootCACertificate: Buffer.from('a CA') },
  })
})

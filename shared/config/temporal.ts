/** How Temporal is reached: the `temporal` blocks of coordinator.hcl and worker.hcl. */
import { z } from 'zod'
import { hostOfAddress, isExposed, isLoopback } from '../loopback.ts'
import { flag, given, hostPort, httpUrl, refuseHalfPair, text } from './fields.ts'

const namespace = text.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/, { error: 'not a namespace name' }).default('default')
const address = hostPort.default('127.0.0.1:7233')

/** Keys that only make sense over TLS. */
const TLS_KEYS = ['ca_file', 'cert_file', 'key_file', 'server_name'] as const

const credentials = {
  ca_file: text.optional(),
  cert_file: text.optional(),
  key_file: text.optional(),
  server_name: text.optional(),
  api_key_file: text.optional(),
  plaintext: flag.optional(),
}

const credentialsSchema = z.strictObject(credentials)

/** Where the credentials for Temporal are, and whether it is reached without TLS. */
export type TemporalCredentials = z.output<typeof credentialsSchema>

/** The worker's side: gRPC. */
export const workerTemporalSchema = z
  .strictObject({ address, namespace, ...credentials })
  .superRefine(...refuseHalfPair('cert_file', 'key_file'))
  .superRefine(refuseTlsKeysInPlaintext, given('plaintext'))
  .superRefine(
    (temporal, context) => {
      if (usesTls(temporal) || temporal.plaintext === true || isLoopback(hostOfAddress(temporal.address))) return
      context.addIssue({ code: 'custom', path: ['address'], message: `${temporal.address} ${UNENCRYPTED}` })
    },
    given('address', 'plaintext'),
  )

/** The coordinator's side: the HTTP API. */
export const coordinatorTemporalSchema = z
  .strictObject({ namespace, address, http_url: httpUrl.default('http://127.0.0.1:7243'), ...credentials })
  .superRefine(...refuseHalfPair('cert_file', 'key_file'))
  .superRefine(refuseTlsKeysInPlaintext, given('plaintext'))
  .superRefine(
    ({ http_url, plaintext, ...rest }, context) => {
      if (!http_url.startsWith('http:') || plaintext === true) return
      const key = [...TLS_KEYS, 'api_key_file' as const].find((name) => rest[name] !== undefined)
      if (key !== undefined) {
        const message = `must be an https:// URL, since the block has ${key}`
        context.addIssue({ code: 'custom', path: ['http_url'], message })
      } else if (isExposed(http_url)) {
        context.addIssue({ code: 'custom', path: ['http_url'], message: `${http_url} ${UNENCRYPTED_URL}` })
      }
    },
    given('http_url', 'plaintext'),
  )

const UNENCRYPTED =
  'would be reached unencrypted: add ca_file = "FILE" to the temporal block, plaintext = false for a certificate ' +
  'of a public CA, or plaintext = true to accept it'
const UNENCRYPTED_URL =
  'would be reached unencrypted: use https://, or add plaintext = true to the temporal block to accept it'

/** Whether a worker's connection uses TLS: told to, or given what only TLS needs. */
export function usesTls(temporal: TemporalCredentials): boolean {
  if (temporal.plaintext !== undefined) return !temporal.plaintext
  return [...TLS_KEYS, 'api_key_file' as const].some((key) => temporal[key] !== undefined)
}

function refuseTlsKeysInPlaintext(temporal: object, context: z.RefinementCtx): void {
  const key = TLS_KEYS.find((name) => Reflect.get(temporal, name) !== undefined)
  if (key === undefined || Reflect.get(temporal, 'plaintext') !== true) return
  context.addIssue({
    code: 'custom',
    path: ['plaintext'],
    message: `plaintext = true and ${key} are mutually exclusive`,
  })
}

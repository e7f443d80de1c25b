import { connect } from 'node:net'
import type { DetectorConfig } from '../../../shared/config.ts'
import { isCheckerFailure } from '../../net/checker-failure.ts'
import { failureOf } from '../../net/http-client.ts'
import { fingerprintOf } from './observation.ts'
import type { Source } from './source.ts'

/** Fires while an address accepts no connections. The value is the error's code, such as `ECONNREFUSED`. */
export function watchTcp({ address, timeout }: NonNullable<DetectorConfig['tcp_check']>): Source {
  const fingerprint = fingerprintOf({ address })
  const { hostname, port } = new URL(`tcp://${address}`)
  const host = hostname.replace(/^\[|\]$/g, '')
  return {
    async observe() {
      const error = await tryToConnect(host, Number(port), timeout)
      if (error === null) return { firing: [] }
      if (error.unknown) return { unknown: `${address} could not be checked: ${error.detail}` }
      const { code, detail } = error
      return { firing: [{ fingerprint, labels: {}, annotations: {}, value: code, summary: `${address}: ${detail}` }] }
    },
  }
}

interface ConnectFailure {
  code: string
  detail: string
  /** Whether the checker failed, and not the service. */
  unknown: boolean
}

function tryToConnect(host: string, port: number, timeout: number): Promise<ConnectFailure | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const timer = setTimeout(() => done({ code: 'ETIMEDOUT', detail: 'timed out', unknown: false }), timeout)
    const done = (error: ConnectFailure | null): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(error)
    }
    socket.once('connect', () => done(null))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      done({ code: codeOf(error), detail: failureOf(error), unknown: isCheckerFailure(error) }),
    )
  })
}

function codeOf({ code }: NodeJS.ErrnoException): string {
  return code ?? 'ERROR'
}

/**
 * HAProxy by its runtime API: the `stats socket` of its configuration, at `level admin`.
 *
 * @see HAProxy Management Guide, 9.1 (CSV format) and 9.3 (Unix Socket commands: "show stat", "set server")
 */
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { messageOf } from '../../../../shared/log.ts'
import type { BalancedServer, LoadBalancer } from './load-balancer.ts'

/** Which HAProxies have the pool; several of them answer as one. */
export interface HaproxyOptions {
  /** `unix:/PATH` or `HOST:PORT`. */
  addresses: readonly string[]
  backend: string
  /** Milliseconds for one answer. */
  timeout: number
}

/** A server's line among those of `show stat`. */
const SERVER_LINE = '2'

/** The pool of a backend. A server counts as serving only if it does at all addresses, and as out only if it is out at all. */
export function haproxy({ addresses, backend, timeout }: HaproxyOptions): LoadBalancer {
  return {
    async read() {
      const answers = await Promise.all(
        addresses.map(async (address) => {
          const servers = readStat(await ask(address, `show stat ${backend} 4 -1`, timeout), backend)
          if (servers.length === 0) throw new Error(`HAProxy at ${address} has no servers in backend ${backend}`)
          return servers
        }),
      )
      return merge(answers)
    },
    async setInRotation(server, inRotation) {
      for (const address of addresses) {
        const answer = await ask(
          address,
          `set server ${backend}/${server} state ${inRotation ? 'ready' : 'drain'}`,
          timeout,
        )
        if (answer.trim() !== '') throw new Error(`HAProxy at ${address}: ${answer.trim()}`)
      }
    },
  }
}

/** Reads the servers of a backend from the CSV of `show stat`. */
export function readStat(csv: string, backend: string): BalancedServer[] {
  const [header = '', ...lines] = csv.split('\n').filter((line) => line.trim() !== '')
  const names = header.replace(/^# /, '').split(',')
  return lines.flatMap((line) => {
    const cells = line.split(',')
    const cell = (name: string): string => cells[names.indexOf(name)] ?? ''
    if (cell('pxname') !== backend || cell('type') !== SERVER_LINE) return []
    const state = cell('status')
    return {
      name: cell('svname'),
      // "MAINT", "MAINT (via …)", "DRAIN"; "NOLB" when an agent takes it out
      inRotation: !/^(?:MAINT|DRAIN|NOLB)/.test(state),
      // "UP", "UP 1/3" while checks fail, "no check"
      serving: /^(?:UP|no check)/.test(state),
      sessions: /^\d+$/.test(cell('scur')) ? Number(cell('scur')) : null,
      state,
    }
  })
}

function merge(answers: BalancedServer[][]): BalancedServer[] {
  const [first = []] = answers
  return first.map((server) => {
    const views = answers.map((servers) => servers.find(({ name }) => name === server.name))
    const known = views.filter((view) => view !== undefined)
    const everywhere = known.length === views.length
    const isIn = known.some(({ inRotation }) => inRotation)
    const isInEverywhere = everywhere && known.every(({ inRotation }) => inRotation)
    const counts = known.flatMap(({ sessions }) => sessions ?? [])
    return {
      name: server.name,
      inRotation: isIn,
      ...(isIn && !isInEverywhere ? { partly: true } : {}),
      serving: everywhere && known.every(({ serving }) => serving),
      sessions: counts.length === known.length ? counts.reduce((sum, count) => sum + count, 0) : null,
      state: [...new Set(views.map((view) => view?.state ?? 'unknown'))].join(', '),
    }
  })
}

/** Sends one command and reads the whole answer: without a prompt, HAProxy closes the connection after it. */
async function ask(address: string, command: string, timeout: number): Promise<string> {
  const path = address.startsWith('unix:') ? address.slice('unix:'.length) : null
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? []
  const socket = path === null ? connect({ host, port: Number(port) }) : connect({ path })
  const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${timeout} ms`)), timeout)
  try {
    // The end of the connection is the end of the answer, so only the writing side is open until then.
    socket.write(`${command}\n`)
    return await text(socket)
  } catch (error) {
    throw new Error(`HAProxy at ${address}: ${messageOf(error)}`)
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

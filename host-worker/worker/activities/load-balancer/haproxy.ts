/**
 * HAProxy by its runtime API: the `stats socket` of its configuration, at `level admin`.
 *
 * @see HAProxy Management Guide, 9.1 (CSV format) and 9.3 (Unix Socket commands: "show stat", "show servers state", "set server")
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

/**
 * Bits of `srv_admin_state` that keep requests away: forced, inherited and resolution maintenance, forced and inherited
 * drain. That the configuration once disabled it (0x04) remains set when it has been enabled.
 *
 * @see HAProxy Management Guide, 9.3, "show servers state"; include/haproxy/server-t.h, `enum srv_admin`
 */
const OUT = { maintenance: 0x01 | 0x02 | 0x20 | 0x40, drain: 0x08 | 0x10 }
/** `srv_op_state` */
const OPERATIONAL = { stopped: '0', starting: '1', running: '2' }
/** `srv_check_result` of a check that has not been made yet, or passed. */
const MAY_RISE: ReadonlySet<string> = new Set(['0', '3', '4'])

/** The pool of a backend. A server counts as serving only if it does at all addresses, and as out only if it is out at all. */
export function haproxy({ addresses, backend, timeout }: HaproxyOptions): LoadBalancer {
  return {
    async read() {
      const answers = await Promise.all(
        addresses.map(async (address) => {
          const stat = await ask(address, `show stat ${backend} 4 -1`, timeout)
          const states = await ask(address, `show servers state ${backend}`, timeout)
          const servers = readServerStates(stat, states, backend)
          if (servers.length === 0)
            throw new Error(`HAProxy at ${address} has no servers in backend ${backend}${complaint(states)}`)
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

/**
 * Reads the servers of a backend.
 *
 * What an operator ordered and what the health check found are different things: the status of a drained server whose
 * check fails is `DOWN`. The order is in `show servers state` alone; sessions, and whether it is a backup, in `show stat`.
 *
 * @param stat the CSV of `show stat`
 * @param states the answer to `show servers state`
 */
export function readServerStates(stat: string, states: string, backend: string): BalancedServer[] {
  const rows = rowsOf(stat, ',', 'pxname').filter((row) => row('pxname') === backend && row('type') === SERVER_LINE)
  const details = new Map(rows.map((row) => [row('svname'), row]))
  return rowsOf(states, ' ', 'be_id').flatMap((state) => {
    const name = state('srv_name')
    const detail = details.get(name)
    if (state('be_name') !== backend || detail === undefined) return []
    const admin = Number(state('srv_admin_state'))
    const weight = Number(state('srv_uweight'))
    const operational = state('srv_op_state')
    const isOut = (admin & (OUT.maintenance | OUT.drain)) !== 0
    const inRotation = !isOut && weight > 0
    const isUp = operational === OPERATIONAL.running || operational === OPERATIONAL.starting
    const isBackup = detail('bck') === '1'
    const isRising = inRotation && operational === OPERATIONAL.stopped && MAY_RISE.has(state('srv_check_result'))
    const notes = [
      ...((admin & OUT.drain) !== 0 && !/DRAIN/.test(detail('status')) ? ['drained'] : []),
      ...(weight === 0 ? ['weight 0'] : []),
      ...(isBackup ? ['backup'] : []),
    ]
    return {
      name,
      inRotation,
      // A backup gets requests only when all others are gone, and nobody knows whether it can take them all.
      serving: inRotation && isUp && !isBackup,
      ...(isBackup ? { standby: inRotation && isUp } : {}),
      ...(isRising ? { rising: true } : {}),
      sessions: /^\d+$/.test(detail('scur')) ? Number(detail('scur')) : null,
      state: [detail('status'), ...notes].join(', '),
    }
  })
}

/** The rows below the header that begins with `first`, as functions of a column's name. */
function rowsOf(text: string, separator: string, first: string): ((column: string) => string)[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const start = lines.findIndex((line) => line.startsWith(`# ${first}`))
  const columns = new Map(
    (lines[start] ?? '')
      .replace('# ', '')
      .split(separator)
      .map((name, index) => [name, index]),
  )
  return lines.slice(start + 1).map((line) => {
    const cells = line.split(separator)
    return (column) => cells[columns.get(column) ?? -1] ?? ''
  })
}

/** What HAProxy answers instead of a table, such as "Can't find backend."; it is its own explanation. */
function complaint(answer: string): string {
  const line = answer.trim().split('\n')[0] ?? ''
  return line === '' || /^\d+$/.test(line) ? '' : `: ${line.slice(0, 200)}`
}

function merge(answers: BalancedServer[][]): BalancedServer[] {
  const [first = []] = answers
  return first.map((server) => {
    const views = answers.map((servers) => servers.find(({ name }) => name === server.name))
    const known = views.filter((view) => view !== undefined)
    const everywhere = known.length === views.length
    const isIn = known.some(({ inRotation }) => inRotation)
    const isInEverywhere = everywhere && known.every(({ inRotation }) => inRotation)
    const isUp = ({ serving, standby }: BalancedServer): boolean => serving || standby === true
    const counts = known.flatMap(({ sessions }) => sessions ?? [])
    return {
      name: server.name,
      inRotation: isIn,
      ...(isIn && !isInEverywhere ? { partly: true } : {}),
      serving: everywhere && known.every(({ serving }) => serving),
      ...(known.some(({ standby }) => standby !== undefined) ? { standby: everywhere && known.every(isUp) } : {}),
      ...(everywhere && !known.every(isUp) && known.every((view) => isUp(view) || view.rising === true)
        ? { rising: true }
        : {}),
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

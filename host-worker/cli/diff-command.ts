import { resolve } from 'node:path'
import { formatDuration } from '../../shared/duration.ts'
import { type Change, diffDocuments } from '../config/diff.ts'
import { loadOrFail } from '../config/load-or-fail.ts'
import { readLoadedDocument } from '../coordinator/loaded-document.ts'
import { socketPath } from '../coordinator/socket-path.ts'
import { CoordinatorClient } from '../net/coordinator-client.ts'
import { dataDirectory } from './coordinator-address.ts'

interface DiffOptions {
  project: string
  data?: string | undefined
  json: boolean
}

/** A difference, with the use of the constraint that it is about. */
interface Shown extends Omit<Change, 'constraint'> {
  /** The most that any node or datacenter uses of it now; null when it is no constraint, or no coordinator answers. */
  used: number | null
}

/** One line of a workflow's usage, as `GET /v1/workflows/{workflow}` has it. */
interface Usage {
  kind: string
  limit: number
  period: string | null
  used: number
}

/** `resile diff`: what a reload of the coordinator would change. */
export async function diff(options: DiffOptions): Promise<void> {
  const data = resolve(dataDirectory(options))
  const { document } = await loadOrFail(options.project, { development: false })
  const changes = diffDocuments(await readLoadedDocument(data), document)
  const items = await Promise.all(changes.map((change) => withUse(change, socketPath(data))))
  if (options.json) process.stdout.write(`${JSON.stringify({ items }, null, 2)}\n`)
  else process.stdout.write(items.length === 0 ? 'nothing would change\n' : items.map(lineOf).join(''))
}

async function withUse({ subject, change, constraint }: Change, socket: string): Promise<Shown> {
  if (constraint === null) return { subject, change, used: null }
  const client = new CoordinatorClient({ socket })
  try {
    const { json } = await client.request('GET', `/v1/workflows/${subject}`, {})
    const lines = (json as { constraints?: Usage[] } | null)?.constraints ?? []
    const period = constraint.period === undefined ? null : formatDuration(constraint.period)
    const own = lines.filter((line) => line.kind === constraint.kind && line.period === period)
    return { subject, change, used: own.length === 0 ? null : Math.max(...own.map(({ used }) => used)) }
  } catch {
    // One that is stopped has nothing to say; what differs is known without it.
    return { subject, change, used: null }
  } finally {
    client.close()
  }
}

function lineOf({ subject, change, used }: Shown): string {
  return `${subject}: ${change}${used === null ? '' : `, ${used} used now`}\n`
}

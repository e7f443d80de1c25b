/** The least that could do the coordinator's work: one Durable Object that inserts a row, starts, and updates the row. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import workerd from 'workerd'

/** Source of the Worker; the start that it sends is the coordinator's. */
const WORKER = `
import { DurableObject } from 'cloudflare:workers'
const TYPE = 'application/json+no-payload-shorthand'
export class Bare extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env)
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS starts (id TEXT PRIMARY KEY, at INTEGER, run_id TEXT)')
  }
  async start(body) {
    const id = crypto.randomUUID()
    this.ctx.storage.sql.exec('INSERT INTO starts (id, at) VALUES (?, ?)', id, Date.now())
    const response = await this.env.TEMPORAL.fetch('http://temporal/api/v1/namespaces/default/workflows/' + id, {
      method: 'POST', headers: { accept: TYPE, 'content-type': TYPE }, body: JSON.stringify({ ...body, requestId: id }),
    })
    const { runId } = await response.json()
    this.ctx.storage.sql.exec('UPDATE starts SET run_id = ? WHERE id = ?', runId, id)
    return { id, runId }
  }
}
export default {
  async fetch(request, env) {
    return Response.json(await env.BARE.getByName('bare').start(await request.json()), { status: 201 })
  },
}
`

/** Writes its files and says how to run it. */
export async function prepareBareObject(
  directory: string,
  port: number,
  temporalHttp: number,
): Promise<{ command: string; args: string[] }> {
  await mkdir(join(directory, 'objects'), { recursive: true })
  await writeFile(join(directory, 'bare.js'), WORKER)
  await writeFile(
    join(directory, 'bare.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "bare", worker = .bare),
    (name = "temporal", external = (address = "127.0.0.1:${temporalHttp}", http = ())),
    (name = "objects", disk = (path = ${JSON.stringify(join(directory, 'objects'))}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "bare")],
);
const bare :Workerd.Worker = (
  modules = [(name = "bare.js", esModule = embed "bare.js")],
  compatibilityDate = "2026-10-20",
  bindings = [(name = "BARE", durableObjectNamespace = "Bare"), (name = "TEMPORAL", service = "temporal")],
  durableObjectNamespaces = [(className = "Bare", uniqueKey = "bare", enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
);
`,
  )
  return { command: workerd.default, args: ['serve', join(directory, 'bare.capnp')] }
}

/** The coordinator on workerd: its files, its configuration and how it is started. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import workerd from 'workerd'
import type { ConfigDocument } from '../../shared/config.ts'
import { BUNDLE_MODULE, CONFIG_MODULE, storedWorker } from './bundle.ts'
import { CF_HEADER } from './front/cf-header.ts'
import { writeIfChanged } from './write-if-changed.ts'

/** Oldest behaviour of workerd that the coordinator is written for; the same as in wrangler.toml. */
const COMPATIBILITY_DATE = '2026-10-20'
const WORKERD_CONFIG = 'workerd.capnp'
/**
 * Identity of all ledgers' data: the file names of Durable Objects are derived from it. Changing one orphans every
 * window and decision.
 */
export const UNIQUE_KEYS = {
  Ledger: 'resile-ledger-v1',
  GlobalLedger: 'resile-global-ledger-v1',
  Roster: 'resile-roster-v1',
  Signals: 'resile-signals-v1',
}

/**
 * The listener of workerd: a TCP address, or the unix socket of a front that terminates TLS and passes the caller on. Whoever can
 * open that socket can be anybody.
 */
export type NetworkListener = { host: string; port: number } | { front: string }

/** The files of a coordinator, and its listeners. */
export interface CoordinatorOptions {
  /** Its own directory; made when missing, readable by its owner only. */
  directory: string
  document: ConfigDocument
  /** Its network listener. */
  listener: NetworkListener
  /** Host names, without port, that its network listener answers to; null for any. */
  hosts: readonly string[] | null
  /** Environment variables that hold its secrets, which it is bound to by these names. */
  secrets: readonly string[]
  /** Path of its unix socket, whose owner is the local operator. */
  socket: string
  /** Temporal's HTTP API: `HOST:PORT`, or `unix:PATH`. */
  temporal: { address: string; tls: boolean }
}

/** How to start a process. */
export interface Launch {
  command: string
  args: string[]
  /** Writes what is missing of its files. */
  prepare: () => Promise<void>
}

/** Writes what workerd needs, and returns how to start it. */
export async function prepareCoordinator(options: CoordinatorOptions): Promise<Launch> {
  const { directory } = options
  const storage = join(directory, 'objects')
  const bundle = await storedWorker(directory)
  const prepare = async (): Promise<void> => {
    // workerd would make these itself, but by the umask that it is started with.
    for (const key of Object.values(UNIQUE_KEYS)) await mkdir(join(storage, key), { recursive: true, mode: 0o700 })
    await writeIfChanged(join(directory, BUNDLE_MODULE), bundle)
    await writeIfChanged(join(directory, CONFIG_MODULE), JSON.stringify(options.document, null, 2))
    await writeIfChanged(join(directory, WORKERD_CONFIG), workerdConfig(options, storage))
  }
  await prepare()
  return { command: workerd.default, args: ['serve', join(directory, WORKERD_CONFIG)], prepare }
}

/**
 * The capnp configuration; its schema is part of workerd (`workerd.capnp`). What the coordinator fetches by itself
 * reaches public addresses alone, as by default; only what it sends to receivers, whose addresses the operator has
 * written, may also go to private ones.
 */
function workerdConfig(options: CoordinatorOptions, storage: string): string {
  const { listener, hosts, secrets, socket, temporal } = options
  const network =
    'front' in listener
      ? `address = ${text(`unix:${listener.front}`)}, http = (cfBlobHeader = ${text(CF_HEADER)})`
      : `address = ${text(`${listener.host}:${listener.port}`)}, http = ()`
  const bindings = [
    ...(hosts === null ? [] : [`(name = "HOSTS", json = ${text(JSON.stringify(hosts))})`]),
    ...secrets.map((name) => `(name = ${text(name)}, fromEnvironment = ${text(name)})`),
  ]
  const tls = temporal.tls ? 'https = (options = (), tlsOptions = (trustBrowserCas = true))' : 'http = ()'
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "coordinator", worker = .coordinator),
    (name = "temporal", external = (address = ${text(temporal.address)}, ${tls})),
    (name = "receivers", network = (allow = ["public", "private"], deny = ["unix", "unix-abstract"],
     tlsOptions = (trustBrowserCas = true))),
    (name = "objects", disk = (path = ${text(storage)}, writable = true)),
  ],
  sockets = [
    (name = "network", ${network}, service = "coordinator"),
    (name = "local", address = ${text(`unix:${socket}`)}, http = (),
     service = (name = "coordinator", entrypoint = "LocalOperator")),
  ],
);

const coordinator :Workerd.Worker = (
  modules = [
    (name = "${BUNDLE_MODULE}", esModule = embed "${BUNDLE_MODULE}"),
    (name = "${CONFIG_MODULE}", json = embed "${CONFIG_MODULE}"),
  ],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  bindings = [
    (name = "LEDGER", durableObjectNamespace = "Ledger"),
    (name = "GLOBAL_LEDGER", durableObjectNamespace = "GlobalLedger"),
    (name = "ROSTER", durableObjectNamespace = "Roster"),
    (name = "SIGNALS", durableObjectNamespace = "Signals"),
    (name = "TEMPORAL", service = "temporal"),
    (name = "RECEIVERS", service = "receivers"),
${bindings.map((binding) => `    ${binding},\n`).join('')}  ],
  durableObjectNamespaces = [
    (className = "Ledger", uniqueKey = "${UNIQUE_KEYS.Ledger}", enableSql = true, preventEviction = true),
    (className = "GlobalLedger", uniqueKey = "${UNIQUE_KEYS.GlobalLedger}", enableSql = true, preventEviction = true),
    (className = "Roster", uniqueKey = "${UNIQUE_KEYS.Roster}", enableSql = true, preventEviction = true),
    (className = "Signals", uniqueKey = "${UNIQUE_KEYS.Signals}", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "objects"),
);
`
}

/** A capnp text literal. */
function text(value: string): string {
  return JSON.stringify(value)
}

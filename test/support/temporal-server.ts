/** A Temporal for one test, which may kill it and start it again. */
import { join } from 'node:path'
import { findTemporalCli } from '../../host-worker/dev/temporal-cli/cli.ts'
import { temporaryDirectory } from './files.ts'
import { freePort } from './ports.ts'
import { type Running, run } from './processes.ts'
import { Temporal } from './temporal.ts'
import { temporalArguments } from './temporal-arguments.ts'

/** Temporal's dev server on free ports, with its state in a file. */
export class TemporalServer {
  readonly address: string
  readonly httpUrl: string
  /** Its HTTP API. */
  readonly api: Temporal
  readonly #cli: string
  readonly #args: readonly string[]
  #process: Running | null = null

  readonly #metricsUrl: string

  private constructor(cli: string, [port, httpPort, metricsPort]: readonly [number, number, number]) {
    this.address = `127.0.0.1:${port}`
    this.httpUrl = `http://127.0.0.1:${httpPort}`
    this.api = new Temporal(this.httpUrl, 'default')
    this.#cli = cli
    const file = join(temporaryDirectory(), 'temporal.db')
    this.#metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`
    this.#args = temporalArguments([port, httpPort, metricsPort], file)
  }

  /** Starts it and waits until it answers. */
  static async start(): Promise<TemporalServer> {
    const { path } = await findTemporalCli({ log: () => undefined })
    const server = new TemporalServer(path, [await freePort(), await freePort(), await freePort()])
    await server.startAgain()
    return server
  }

  /** How many long polls wait at it now, in its namespace, for tasks of a type. */
  async polls(type: 'Activity' | 'Workflow'): Promise<number> {
    const text = await (await fetch(this.#metricsUrl)).text()
    const labels = `namespace="default",operation="Poll${type}TaskQueue",service_name="frontend"`
    return Number(new RegExp(`^service_pending_requests\\{${labels}\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  }

  /** Such as `SIGSTOP`, after which it says nothing until `SIGCONT`. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal)
  }

  /** Kills it with SIGKILL. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL')
    await this.#process?.ended
    this.#process = null
  }

  /** Starts it on the same ports, with what it knew. */
  async startAgain(): Promise<void> {
    this.#process = run(this.#cli, this.#args)
    await this.api.isBack()
  }
}

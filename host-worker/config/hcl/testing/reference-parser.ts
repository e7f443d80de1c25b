import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { Position } from '../diagnostic.ts'

/** A diagnostic of HashiCorp's parser, in its own words; `summary` begins `message`. */
export interface SyntaxDiagnostic extends Position {
  summary: string
  message: string
}

/** What HashiCorp's parser says of a text: its content, what is wrong, or that it could not be asked. */
export type Verdict =
  | { kind: 'read'; json: unknown }
  | { kind: 'wrong'; diagnostics: SyntaxDiagnostic[] }
  | { kind: 'unusable'; message: string }
  | { kind: 'failed'; message: string }

const ANSWER_WITHIN_MS = 10_000
const IDLE_MS = 1000

/**
 * Asks HashiCorp's HCL parser, the authority on syntax: `read`; `wrong` with its diagnostics; `unusable` when it takes
 * the syntax but not the structure; `failed` when it died or hung. Never rejects.
 *
 * The parser is a Go program in WebAssembly. It dies for good when its stack overflows, sets globals, and holds some
 * 150 MB: so it runs in a separate thread, shared by all calls, which is ended when it dies, hangs or is idle.
 */
export function consult(text: string): Promise<Verdict> {
  const answer = queue.then(() => ask(text))
  queue = answer
  return answer
}

let queue: Promise<unknown> = Promise.resolve()
let thread: Worker | null = null
let idle: NodeJS.Timeout | undefined

const THREAD = `
const { parentPort, workerData } = require('node:worker_threads')
const { parse } = require(workerData)
parentPort.on('message', (text) => parse('@', text).then(
  (json) => parentPort.postMessage({ json }),
  (error) => parentPort.postMessage({ error: String(error.message) }),
))`

async function ask(text: string): Promise<Verdict> {
  clearTimeout(idle)
  thread ??= start()
  const parser = thread
  parser.ref()
  const verdict = await new Promise<Verdict>((resolve) => {
    const timer = setTimeout(() => resolve({ kind: 'failed', message: 'no answer' }), ANSWER_WITHIN_MS)
    const settle = (verdict: Verdict) => {
      clearTimeout(timer)
      resolve(verdict)
    }
    parser.removeAllListeners()
    parser.once('message', (answer: unknown) => settle(verdictOf(answer)))
    parser.once('error', (error: unknown) => settle({ kind: 'failed', message: String(error) }))
    parser.once('exit', () => settle({ kind: 'failed', message: 'it ended' }))
    parser.postMessage(text)
  })
  if (verdict.kind === 'failed') stop()
  else parser.unref()
  idle = setTimeout(stop, IDLE_MS).unref()
  return verdict
}

function start(): Worker {
  const path = createRequire(import.meta.url).resolve('@cdktn/hcl2json')
  return new Worker(THREAD, { eval: true, workerData: path })
}

function stop(): void {
  // Nothing waits for the end of a thread that is no longer needed, and one that fails to end blocks nothing.
  thread?.unref()
  thread?.terminate().catch(() => undefined)
  thread = null
}

function verdictOf(answer: unknown): Verdict {
  const { json, error } = answer as { json: unknown; error?: string }
  if (error === undefined) return { kind: 'read', json }
  if (error.startsWith('convert to HCL:')) return { kind: 'unusable', message: error.replace(/^.*: /, '') }
  const diagnostics = diagnosticsIn(error)
  // Anything else comes from the Go runtime, which is not to be trusted after it.
  return diagnostics.length === 0 ? { kind: 'failed', message: error } : { kind: 'wrong', diagnostics }
}

/** Takes `parse config: [@:2,1-2: Summary; Detail @:3,1-4,2: …]` apart. */
function diagnosticsIn(error: string): SyntaxDiagnostic[] {
  const list = /^parse config: \[([\s\S]*)\]$/.exec(error)?.[1] ?? ''
  const starts = [...list.matchAll(/(?:^| )@:(\d+),(\d+)-(?:\d+,)?\d+: /g)]
  return starts.map((start, index) => {
    const message = list
      .slice(start.index + start[0].length, starts[index + 1]?.index)
      .replaceAll(/@:(\d+),(?:\d+)-[\d,]*\d/g, 'line $1')
    return { line: Number(start[1]), column: Number(start[2]), summary: message.split(';')[0] ?? '', message }
  })
}

/** What a workflow's code must not use, because it would behave differently when Temporal replays it. */
import { isBuiltin } from 'node:module'
import { runInNewContext } from 'node:vm'

/** Why a name is wrong, and what does its job instead. */
const GLOBALS: Readonly<Record<string, string>> = {
  fetch: "it reaches out of the workflow; use checkHttp of 'resile/workflow', or runCommand",
  XMLHttpRequest: "it reaches out of the workflow; use checkHttp of 'resile/workflow', or runCommand",
  WebSocket: 'it reaches out of the workflow; use runCommand',
  EventSource: 'it reaches out of the workflow; use runCommand',
  process: 'it differs between workers; take what you need from the input, or from runCommand',
  navigator: 'it differs between workers; take what you need from the input, or from runCommand',
  require: 'a workflow is an ES module; use a static import',
  module: 'a workflow is an ES module; use export',
  exports: 'a workflow is an ES module; use export',
  __dirname: 'a workflow has no files; use runCommand',
  __filename: 'a workflow has no files; use runCommand',
  setInterval: "it is not durable; use sleep of '@temporalio/workflow' in a loop",
  clearInterval: "it is not durable; use sleep of '@temporalio/workflow' in a loop",
  setImmediate: "it is not durable; use sleep of '@temporalio/workflow'",
  clearImmediate: "it is not durable; use sleep of '@temporalio/workflow'",
  queueMicrotask: 'its order is not recorded; use await',
  crypto: "it is random; use uuid4 of '@temporalio/workflow' or Math.random, which are replayed",
  performance: 'it reads the real clock; use Date.now, which is replayed',
  eval: 'its code can not be checked',
  WeakRef: 'garbage collection is not replayed; hold the object itself',
  FinalizationRegistry: 'garbage collection is not replayed',
  Atomics: 'threads are not replayed',
  SharedArrayBuffer: 'threads are not replayed',
  WebAssembly: 'it is compiled outside of the workflow; use runCommand',
  Buffer: 'it belongs to Node; use Uint8Array, TextEncoder and TextDecoder',
  globalThis: 'what is taken from it can not be checked; write globalThis.Date, or Date',
  structuredClone: 'it belongs to Node; copy what you need',
}

/** What Temporal's sandbox puts beside the language's own globals; its Date, Math.random and setTimeout are replayed. */
const SANDBOX = [
  'AbortController',
  'AsyncLocalStorage',
  'TextDecoder',
  'TextEncoder',
  'URL',
  'URLSearchParams',
  'assert',
  'clearTimeout',
  'console',
  'setTimeout',
]

/** Globals and implicit names of the language itself. */
const LANGUAGE = [...(runInNewContext('Object.getOwnPropertyNames(globalThis)') as string[]), 'arguments']

const PERMITTED = new Set([...LANGUAGE, ...SANDBOX].filter((name) => !Object.hasOwn(GLOBALS, name)))

/** Node's modules that Temporal's sandbox has a deterministic substitute for. */
const SUBSTITUTED = ['assert', 'url', 'util']

/** Packages whose place is outside of workflows. */
const OUTSIDE = [
  '@temporalio/activity',
  '@temporalio/client',
  '@temporalio/core-bridge',
  '@temporalio/testing',
  '@temporalio/worker',
  'resile/testing',
]

/** Code from text. */
export const NEW_FUNCTION = 'Function: its code can not be checked'

/** Properties that lead out of the sandbox: the constructor of any function makes code of a text, in the worker's own realm. */
export const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['constructor', 'constructor: it leads out of the sandbox; use instanceof, or name the class'],
  ['prepareStackTrace', "prepareStackTrace: it shows functions outside of the sandbox; use the error's stack"],
])

/** A module that is loaded while the workflow runs. */
export const DYNAMIC_IMPORT = 'import(): when it is loaded is not replayed; use a static import'

/** @returns why a workflow must not use a global, with what to use instead; null when it may */
export function forbiddenGlobal(name: string): string | null {
  if (PERMITTED.has(name)) return null
  const reason = Object.hasOwn(GLOBALS, name) ? GLOBALS[name] : 'a workflow has no such global'
  return `${name}: ${reason}`
}

/** @returns why a workflow must not import a module; null when it may */
export function forbiddenModule(specifier: string): string | null {
  const outside = OUTSIDE.find((name) => specifier === name || specifier.startsWith(`${name}/`))
  if (outside !== undefined) return `import of ${outside}: it is not for workflows; use 'import type' for its types`
  if (!isBuiltin(specifier) || SUBSTITUTED.includes(specifier.replace(/^node:/, ''))) return null
  return `import of ${specifier}: a workflow reaches its host by activities alone; use runCommand of 'resile/workflow'`
}

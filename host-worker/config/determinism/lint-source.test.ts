import { describe, expect, test } from 'vitest'
import { lintSource } from './lint-source.ts'

/** What is found, as `source text at the place: message`, without what to use instead. */
function lint(text: string, file = 'x.ts'): string[] {
  return lintSource(file, text).findings.map(({ offset, message }) => `${offset}: ${message.split(/[:;]/)[0]}`)
}

const names = (text: string): string[] => lint(text).map((line) => line.replace(/^\d+: /, ''))

test.each([
  'class Job { constructor(readonly id: string) {} }',
  'const kinds = { constructor: 1 }',
  'const constructor = 1; void constructor',
  'export type Key = "constructor" | "name"',
  'const value = {}[String(Math.random())]',
])('%s → no finding', (text) => {
  expect(names(text)).toEqual([])
})

describe('not deterministic', () => {
  test.each([
    ['await fetch("http://x/")', 'fetch'],
    ['const { env } = process', 'process'],
    ['const fs = require("fs")', 'require'],
    ['setInterval(() => {}, 1)', 'setInterval'],
    ['setImmediate(() => {})', 'setImmediate'],
    ['crypto.randomUUID()', 'crypto'],
    ['performance.now()', 'performance'],
    ['new WebSocket("ws://x/")', 'WebSocket'],
    ['new XMLHttpRequest()', 'XMLHttpRequest'],
    ['navigator.language', 'navigator'],
    ['eval("1")', 'eval'],
    ['new Function("return 1")()', 'Function'],
    ['Function("return 1")()', 'Function'],
    ['new WeakRef({})', 'WeakRef'],
    ['globalThis.fetch("http://x/")', 'fetch'],
    ['globalThis["process"].exit()', 'process'],
    ['const { fetch } = globalThis', 'globalThis'],
    ['const call = { fetch }', 'fetch'],
    ['window.alert()', 'window'],
    ['await import("./other.ts")', 'import()'],
    ['TextEncoder.constructor("return process")()', 'constructor'],
    ['(async () => {})["constructor"]("return 1")()', 'constructor'],
    ['const name = [][`constructor`]', 'constructor'],
    ['const out = URL["con" + "struc" + "tor"]', 'constructor'],
    ['const { constructor: make } = URL', 'constructor'],
    ['const { ["constructor"]: make } = URL', 'constructor'],
    ["Reflect.get(URL, 'constructor')", 'constructor'],
    ["Object.getOwnPropertyDescriptor(URL.prototype, 'con' + 'structor')", 'constructor'],
    ["const key = 'constructor'; URL[key]", 'constructor'],
    ["URL[`constr${'uctor'}`]", 'constructor'],
    ['Error.prepareStackTrace = (_, frames) => frames[0]', 'prepareStackTrace'],
    ['const make = Function', 'Function'],
    ['Function.call(null, "return 1")', 'Function'],
    ['globalThis.Function("return 1")', 'Function'],
    ['Reflect.construct(Function, ["return 1"])', 'Function'],
    ['for (const file of []) void ((fetched = fetch) => fetched(file))', 'fetch'],
  ])('%s → finding', (text, name) => {
    expect(names(text)).toEqual([name])
  })

  test.each([
    ['import { readFile } from "node:fs/promises"', 'node'],
    ['import "fs"', 'fs'],
    ['import * as os from "os"', 'os'],
    ['import { type Stats, statSync } from "fs"', 'fs'],
    ['import net = require("net")', 'net'],
    ['export { join, resolve } from "path"', 'path'],
    ['export * from "path"', 'path'],
    ['import { Client } from "@temporalio/client"', '@temporalio/client'],
    ['import { Context } from "@temporalio/activity"', '@temporalio/activity'],
    ['import { Worker } from "@temporalio/worker/lib/worker"', '@temporalio/worker'],
    ['import { startWorkflowRig } from "resile/testing"', 'resile/testing'],
  ])('%s → finding', (text, name) => {
    expect(names(text)).toEqual([`import of ${name}`])
  })
})

test.each([
  'import { sleep, uuid4 } from "@temporalio/workflow"; import { runCommand } from "resile/workflow"; void [sleep, uuid4, runCommand]',
  'import type { Client } from "@temporalio/client"; import { type Stats } from "node:fs"; export type { Socket } from "node:net"',
  'type Fetch = typeof fetch; type Env = NodeJS.ProcessEnv; type Dns = import("dns").MxRecord; let x: Buffer',
  'import util from "util"; import assert from "node:assert"; void [util, assert]',
  'Date.now(); new Date(); Math.random(); setTimeout(() => {}, 1); console.log(globalThis.Date, undefined, NaN, new URL("http://x/"))',
  'export function f(fetch: (x: number) => number, { process }: { process: number }) { return fetch(process) }',
  'const crypto = { performance: 1 }; try { crypto.performance++ } catch (process) { void process }',
  'class Task { process = 1; fetch() { return this.process } }; new Task().fetch(); export const enum Require { eval }',
  'const task = { process: 1, "fetch": 2 }; // fetch()\nconst text = "require(1)" + `eval`; void [task.process, text]',
  'export const isFunction = (x: unknown) => x instanceof Function',
  'function all() { return arguments.length }; let counter = 0; export const next = () => all() + counter++',
])('permitted: %s → no finding', (text) => {
  expect(lint(text)).toEqual([])
})

test('findings: several → in their order', () => {
  const text = 'import "os"\nfetch(process)\nawait import("x")\n'
  expect(lint(text)).toEqual(['7: import of os', '12: fetch', '18: process', '33: import()'])
})

test('findings: each → says what to use instead', () => {
  expect(lintSource('x.ts', 'fetch("http://x/")').findings[0]?.message).toMatch(/use checkHttp/)
  expect(lintSource('x.ts', 'crypto.randomUUID()').findings[0]?.message).toMatch(/uuid4/)
})

test('unparsable code → one finding at its place', () => {
  expect(lint('fetch()\nconst = 1\n')).toEqual([expect.stringMatching(/^14: \S/)])
})

test('imports: relative → listed', () => {
  const text =
    'import a from "./a.ts"; import type b from "./b.ts"; export * from "./c.ts"; import { type d } from "./d.ts"'
  expect(lintSource('x.ts', text).imports).toEqual(['./a.ts', './c.ts'])
})

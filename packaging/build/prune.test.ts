import { expect, test } from 'vitest'
import { isDependency, isProgram } from './prune.ts'
import { TARGETS } from './target.ts'

test.each([
  ['host-worker/cli/main.ts', true],
  ['host-worker/testing/workflow-rig.ts', true],
  ['workflows/sdk/index.ts', true],
  ['package.json', true],
  ['host-worker/cli/tables.test.ts', false],
  ['host-worker/process/test-support.ts', false],
  ['edge/testing/fresh.ts', false],
  ['workflows/testdata/one.json', false],
  ['test/support/files.ts', false],
  ['packaging/build/main.ts', false],
])('repository: %s → installed: %s', (path, expected) => expect(isProgram(path)).toBe(expected))

test.each([
  ['hono/dist/index.js', true],
  ['hono/LICENSE', true],
  ['hono/LICENSE.md', true],
  ['hono/README.md', false],
  ['hono/dist/types/index.d.ts', false],
  ['.bin/esbuild', false],
  ['.package-lock.json', false],
  ['bintrees/.npmignore', false],
  ['@temporalio/core-bridge/releases/x86_64-unknown-linux-gnu/index.node', true],
  ['@temporalio/core-bridge/releases/aarch64-unknown-linux-gnu/index.node', false],
  ['@temporalio/core-bridge/sdk-core/core/src/lib.rs', false],
  ['@temporalio/core-bridge/lib/index.js', true],
])('npm package for amd64: %s → installed: %s', (path, expected) => {
  const [amd64] = TARGETS
  expect(amd64 !== undefined && isDependency(path, amd64)).toBe(expected)
})

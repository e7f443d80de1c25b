import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig, type UserWorkspaceConfig } from 'vitest/config'
import { LongestFirst } from './tools/longest-first.ts'

const wranglerConfig = join(import.meta.dirname, 'wrangler.toml')

/** Vitest's own (5 s, 1 s for a poll) are too short on a machine with other work. */
const patience = { testTimeout: 60_000, hookTimeout: 60_000, expect: { poll: { timeout: 20_000 } } }

const unit: UserWorkspaceConfig = {
  test: {
    name: 'unit',
    include: ['shared', 'host-worker', 'workflows', 'tools', 'packaging', 'test/drill'].map(
      (folder) => `${folder}/**/*.test.ts`,
    ),
    ...patience,
    maxWorkers: 4,
    sequence: { groupOrder: 1 },
  },
}

/** A key that signs permits, for the tests in workerd alone. */
const permitKey = { kid: 'test', ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) }

/** The secrets of escalation receivers, there too. */
const receiverSecrets = {
  RECEIVER_SECRET: `whsec_${randomBytes(24).toString('base64')}`,
  CHAT_URL: `http://chat.receiver.test/services/T0001/B0001/${randomBytes(12).toString('hex')}`,
  ODD_URL: 'ftp://chat.receiver.test/services/a-secret',
  DUTY_KEY: randomBytes(16).toString('hex'),
}

/** Inside workerd, with the Worker and its Durable Objects as wrangler.toml describes them. */
const edge: UserWorkspaceConfig = {
  plugins: [
    cloudflareTest({
      wrangler: { configPath: wranglerConfig },
      miniflare: { bindings: { PERMIT_KEYS: JSON.stringify({ keys: [permitKey] }), ...receiverSecrets } },
    }),
  ],
  // There is no environment in workerd.
  define: { FUZZ_RUNS: process.env.RESILE_FUZZ_RUNS ?? '400' },
  // The tests' own project instead of the compiled one.
  resolve: { alias: { 'resile:config': join(import.meta.dirname, 'edge/testing/config.json') } },
  test: {
    name: 'edge',
    include: ['edge/**/*.test.ts'],
    // A file leaves nothing behind (edge/testing/setup.ts), so that one isolate can run many.
    isolate: false,
    setupFiles: ['edge/testing/setup.ts'],
    ...patience,
    maxWorkers: 2,
    sequence: { groupOrder: 2 },
  },
}

/** Real processes: a file owns its data directories, its ports and its namespaces in Temporal. */
const endToEnd: UserWorkspaceConfig = {
  test: {
    name: 'e2e',
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/drill/**', 'test/soak/**'],
    globalSetup: ['test/support/suite.ts'],
    // They mostly wait for each other's processes.
    maxWorkers: 3,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    sequence: { groupOrder: 3 },
  },
}

/** Tests of the end-to-end suite that wait longer there (test/support/soak.ts). */
const longerInSoak = [
  'test/admission/clock.test.ts',
  'test/hosts/worker.test.ts',
  'test/security/exhaustion.test.ts',
  ...(process.env.RESILE_SOAK === 'long' ? ['test/triggers/detector.test.ts'] : []),
]

/** `npm run soak`: what takes long, or takes much of the machine. */
const soak: UserWorkspaceConfig = {
  test: {
    ...endToEnd.test,
    name: 'soak',
    include: ['test/soak/**/*.test.ts', ...longerInSoak],
    exclude: ['**/node_modules/**'],
    maxWorkers: 2,
    sequence: { groupOrder: 4 },
  },
}

const hasEdge = existsSync(wranglerConfig)
const isSoak = process.env.RESILE_SOAK !== undefined

/** The fuzz tests of a project, which take as long as they are told to. */
const fuzz = (folder: string, project: UserWorkspaceConfig): UserWorkspaceConfig => ({
  ...project,
  test: { ...project.test, include: [`${folder}/**/fuzz.test.ts`] },
})

export default defineConfig({
  test: {
    // Logs of a test are shown when it fails.
    silent: 'passed-only',
    sequence: { sequencer: LongestFirst },
    projects: isSoak
      ? [fuzz('host-worker', unit), ...(hasEdge ? [fuzz('edge', edge)] : []), soak]
      : [unit, ...(hasEdge ? [edge] : []), endToEnd],
    exclude: ['**/node_modules/**', '**/.resile/**'],
  },
})

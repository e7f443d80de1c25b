import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig, type TestProjectConfiguration } from 'vitest/config'

const wranglerConfig = join(import.meta.dirname, 'wrangler.toml')

const unit: TestProjectConfiguration = {
  test: {
    name: 'unit',
    include: ['shared', 'host-worker', 'workflows', 'tools', 'test/drill'].map((folder) => `${folder}/**/*.test.ts`),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { groupOrder: 0 },
  },
}

/** A key that signs permits, for the tests in workerd alone. */
const permitKey = { kid: 'test', ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) }

/** What receivers are told by, there too. */
const receiverSecrets = {
  RECEIVER_SECRET: `whsec_${randomBytes(24).toString('base64')}`,
  CHAT_URL: `http://chat.receiver.test/services/T0001/B0001/${randomBytes(12).toString('hex')}`,
  ODD_URL: 'ftp://chat.receiver.test/services/a-secret',
  DUTY_KEY: randomBytes(16).toString('hex'),
}

/** Inside workerd, with the Worker and its Durable Objects as wrangler.toml describes them. */
const edge: TestProjectConfiguration = {
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
  test: { name: 'edge', include: ['edge/**/*.test.ts'], sequence: { groupOrder: 1 } },
}

/** Real processes and ports: one file at a time. */
const endToEnd: TestProjectConfiguration = {
  test: {
    name: 'e2e',
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/drill/**'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    sequence: { groupOrder: 2 },
  },
}

export default defineConfig({
  test: {
    // Logs of a test are shown when it fails.
    silent: 'passed-only',
    projects: [unit, ...(existsSync(wranglerConfig) ? [edge] : []), endToEnd],
    exclude: ['**/node_modules/**', '**/.resile/**'],
  },
})

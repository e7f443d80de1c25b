/**
 * A worker of the bare SDK, as small as it gets by its own options: `node bare-worker.mjs ADDRESS NODE [BUNDLE]`. It
 * serves the three queues of a node over one connection with one poll each; with a bundle, also workflows of the first.
 * Plain JavaScript, since Node's TypeScript compiler would count too.
 */
import { NativeConnection, Runtime, Worker } from '@temporalio/worker'

const [address, node, bundle] = process.argv.slice(2)
Runtime.install({ logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error: console.error } })
const connection = await NativeConnection.connect({ address })
const queues = ['bare', 'bare:type:web', `bare:node:${node}`]
const workflows = bundle && {
  workflowBundle: { codePath: bundle },
  workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
  maxCachedWorkflows: 100,
}
const workers = await Promise.all(
  queues.map((taskQueue, index) =>
    Worker.create({
      connection,
      taskQueue,
      activities: { runCommand: async () => undefined },
      activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
      ...(index === 0 ? workflows : undefined),
    }),
  ),
)
const running = workers.map((worker) => worker.run())
console.log('ready')
await Promise.all(running)

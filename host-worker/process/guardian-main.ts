/** The guardian's process: waits for the end of its input, which comes with the death of who started it. */
import type { GuardianMessage, Watched } from './guardian.ts'
import { splitLines } from './line-splitter.ts'
import { endGroups } from './process-group.ts'
import { endTrees } from './process-tree.ts'

const watched = new Map<number, Watched>()

// It ends by the end of its input and by nothing else that a terminal or a `kill` of many processes does.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {})

splitLines(process.stdin, (line) => {
  const message = JSON.parse(line) as GuardianMessage
  if ('watch' in message) watched.set(message.watch.pid, message.watch)
  else watched.delete(message.forget.pid)
})
process.stdin.once('close', () => {
  const all = [...watched.values()]
  const trees = all.filter((one) => 'mark' in one)
  void Promise.all([
    endTrees(trees, { graceMs: 3_000 }),
    endGroups(
      all.filter((one) => !('mark' in one)),
      { graceMs: 3_000 },
    ),
  ])
})
// Whoever waited for it may be gone already.
process.stdout.on('error', () => {})
process.stdout.write('ready\n')

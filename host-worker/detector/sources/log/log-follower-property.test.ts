import { join } from 'node:path'
import { test as property } from '@fast-check/vitest'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { LogReader, LogWriter } from './test-support.ts'

let writer: LogWriter
let reader: LogReader
beforeEach(() => {
  writer = new LogWriter()
  reader = new LogReader([writer.path])
})
afterEach(async () => {
  await reader.close()
  writer.close()
})

/** Something that happens to a log, or to its reader. */
type Step =
  | { kind: 'append'; lines: number; width: number }
  | { kind: 'part' | 'late' | 'rename' | 'copy' | 'truncate' | 'remove' | 'poll' | 'restart' | 'replace' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), lines: fc.nat(5), width: fc.nat(300) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('part', 'late', 'rename', 'copy', 'truncate', 'remove', 'poll', 'restart', 'replace'),
    }),
  },
)

describe.each(['app.log', 'app*', '*'])('whatever happens to what %s names', (pattern) => {
  property.prop([fc.array(step, { maxLength: 40 })], { numRuns: 150 })('each line is read once', async (steps) => {
    const log = new LogWriter()
    const follower = new LogReader([join(log.directory, pattern)])
    try {
      let number = 0
      const text = (width: number): string => {
        number += 1
        return `${number} ${'.'.repeat(width)}`
      }
      await follower.poll()
      for (const done of steps) {
        switch (done.kind) {
          case 'append':
            for (let line = 0; line < done.lines; line += 1) log.append(`${text(done.width)}\n`)
            break
          case 'part':
            log.append(text(0))
            break
          case 'late':
            log.appendLate(`${text(0)}\n`)
            break
          case 'rename':
            log.rename()
            break
          case 'copy':
            log.copyAndTruncate()
            break
          case 'truncate':
            log.endLine()
            await follower.poll()
            log.truncate()
            break
          case 'remove':
            log.append(`${text(0)}\n`)
            await follower.poll()
            log.append(`${text(0)}\n`)
            log.remove()
            await follower.poll()
            log.create()
            break
          case 'replace':
            log.endLine()
            await follower.poll()
            await follower.restart(() => {
              log.remove()
              log.create()
              log.append(`${text(200)}\n`)
            })
            break
          case 'poll':
            await follower.poll()
            break
          case 'restart':
            await follower.restart()
            break
        }
      }
      log.endLine()
      await follower.settle()
      expect(follower.lines.toSorted()).toEqual(log.lines.toSorted())
      expect(follower.problem).toBeNull()
    } finally {
      await follower.close()
      log.close()
    }
  })
})

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { followJournal } from '../../host-worker/detector/sources/journal/follow-journal.ts'
import type { Firing } from '../../host-worker/detector/sources/observation.ts'
import type { Notice, Source } from '../../host-worker/detector/sources/source.ts'
import type { JournalConfig } from '../../shared/config.ts'
import { lacks, titled } from '../../tools/debian-packages.ts'
import { repository, temporaryDirectory } from '../support/files.ts'
import { TestJournal } from '../support/journal.ts'
import { gone, run } from '../support/processes.ts'
import { stays, until } from '../support/until.ts'

const app = (MESSAGE: string | Buffer): Record<string, string | Buffer> => ({
  MESSAGE,
  _TRANSPORT: 'syslog',
  SYSLOG_IDENTIFIER: 'app',
  _SYSTEMD_UNIT: 'app.service',
})
const kernel = (MESSAGE: string): Record<string, string> => ({
  MESSAGE,
  _TRANSPORT: 'kernel',
  SYSLOG_IDENTIFIER: 'kernel',
})

let config: JournalConfig
let source: Required<Source> | undefined
const told: Notice[] = []

const follow = async (changed: Partial<JournalConfig> = {}, state: unknown = null): Promise<void> => {
  await source?.close()
  source = followJournal({ ...config, ...changed }, JSON.parse(JSON.stringify(state)))
}
const observe = async (): Promise<readonly Firing[] | string> => {
  if (source === undefined) throw new Error('nothing is followed')
  const observation = await source.observe(Date.now())
  told.push(...source.notices())
  return 'unknown' in observation ? observation.unknown : observation.firing
}
const sees = (): Promise<unknown> => until('it sees', async () => typeof (await observe()) !== 'string')
const fires = (value: string): Promise<readonly Firing[]> =>
  until(`it fires with ${value}`, async () => {
    const firing = await observe()
    return typeof firing !== 'string' && firing.some((one) => one.value === value) ? firing : undefined
  })

beforeEach(() => {
  told.length = 0
})
afterEach(async () => {
  await source?.close()
  source = undefined
})

describe.skipIf(lacks('systemd-journal-remote'))(
  `${titled('journal source, real journals', 'systemd-journal-remote')}`,
  () => {
    let journal: TestJournal
    beforeEach(async () => {
      journal = new TestJournal()
      config = {
        units: [],
        identifiers: [],
        kernel: false,
        fields: {},
        directory: journal.directory,
        pattern: 'failed (?P<what>\\w+)',
        count: 1,
        within: 3_600_000,
      }
      await journal.append(app('failed before'))
    })

    test('fields that journald itself sets → what any user writes under the same name is left out', async () => {
      const fields = { _SYSTEMD_UNIT: 'init.scope', _UID: '0', _TRANSPORT: 'journal' }
      await follow({ identifiers: ['systemd'], fields })
      await sees()
      const of = (MESSAGE: string, fields: Record<string, string>) => ({
        MESSAGE,
        SYSLOG_IDENTIFIER: 'systemd',
        ...fields,
      })
      await journal.append(
        // `logger -t systemd`, the service manager of a user, and the one of the system.
        of('failed logger', { _TRANSPORT: 'syslog', _UID: '1000', _SYSTEMD_UNIT: 'session-1.scope' }),
        of('failed user', { _TRANSPORT: 'journal', _UID: '1000', _SYSTEMD_UNIT: 'user@1000.service' }),
        of('failed system', { _TRANSPORT: 'journal', _UID: '0', _SYSTEMD_UNIT: 'init.scope' }),
      )
      expect(await fires('1')).toMatchObject([{ labels: { what: 'system' } }])
    })

    test('entries appended after the first start → read, with labels', async () => {
      await follow()
      await sees()
      await journal.append(app('fine'), app('failed disk'), app(Buffer.from('failed disk \xff', 'latin1')))
      expect(await fires('2')).toMatchObject([{ labels: { what: 'disk' }, summary: 'app.service: failed disk \uFFFD' }])
    })

    test('journals of several machines in one directory → all read, also of one that appears later', async () => {
      await journal.appendFrom('db-1', app('failed before'))
      await follow()
      await sees()
      await journal.appendFrom('db-1', app('failed first'))
      await journal.appendFrom('db-2', app('failed second'))
      await journal.append(app('failed third'))
      const whats = async (): Promise<unknown> => {
        const firing = await observe()
        return (
          typeof firing !== 'string' &&
          firing
            .map(({ labels }) => labels['what'])
            .sort()
            .join()
        )
      }
      await until('all are seen', async () => (await whats()) === 'first,second,third')
      const state = source?.state()
      await source?.close()
      source = undefined
      await journal.appendFrom('db-2', app('failed fourth'))
      await follow({}, state)
      await until('the later one is seen', async () => (await whats()) === 'first,fourth,second,third')
    })

    test('carriage return at the end → no part of the message; longer than 64 KiB → said', async () => {
      await follow({ pattern: 'failed (?P<what>\\w+)$' })
      await sees()
      await journal.append(app('failed windows\r'), app(`much ${'x'.repeat(70_000)}`))
      expect(await fires('1')).toMatchObject([{ labels: { what: 'windows' } }])
      await until('it is said', async () => {
        await observe()
        return told.some(({ event }) => event === 'journal_message_cut')
      })
    })

    test('long, binary and empty messages → read', async () => {
      await follow()
      await sees()
      await journal.append(app(`failed long ${'x'.repeat(200_000)}`), app(Buffer.alloc(0)), app('failed long'))
      expect(await fires('2')).toMatchObject([{ labels: { what: 'long' } }])
    })

    test('started again after ten more entries → goes on after the last one read', async () => {
      await follow()
      await sees()
      await journal.append(app('failed disk'))
      await fires('1')
      const state = source?.state()
      await source?.close()
      await journal.append(...Array.from({ length: 30 }, () => app('failed disk')))
      await follow({}, state)
      expect(await fires('31')).toHaveLength(1)
    })

    test('last entry read is filtered out now → goes on', async () => {
      await follow({ kernel: true })
      await sees()
      const state = source?.state()
      await source?.close()
      await journal.append(kernel('failed disk'))
      await follow({ kernel: true }, state)
      expect(await fires('1')).toMatchObject([{ summary: 'kernel: failed disk' }])
    })

    test('filters → only matching entries', async () => {
      await follow({ units: ['app*'], identifiers: ['app'] })
      await sees()
      await journal.append(
        { ...app('failed other'), _SYSTEMD_UNIT: 'other.service' },
        { ...app('failed other'), SYSLOG_IDENTIFIER: 'other' },
        kernel('failed other'),
        app('failed disk'),
      )
      expect(await fires('1')).toMatchObject([{ labels: { what: 'disk' } }])
    })

    test('out-of-memory kills → process, and unit whose limit it was', async () => {
      const killed = 'Out of memory: Killed process (?P<pid>\\d+) \\((?P<process>[^)]+)\\)'
      const limited = 'oom-kill:constraint=CONSTRAINT_MEMCG,.*,oom_memcg=(?:/[^/,]+)*/(?P<unit>[^/,]+\\.service),'
      await follow({ kernel: true, pattern: `${killed}|${limited}` })
      await sees()
      await journal.append(
        kernel(
          'Out of memory: Killed process 4711 (java) total-vm:8388608kB, anon-rss:4194304kB, file-rss:0kB, ' +
            'shmem-rss:0kB, UID:1000 pgtables:8400kB oom_score_adj:0',
        ),
        kernel(
          'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,' +
            'oom_memcg=/system.slice/app.service,task_memcg=/system.slice/app.service,task=node,pid=815,uid=33',
        ),
      )
      const firing = await until('both fire', async () => {
        const now = await observe()
        return typeof now !== 'string' && now.length === 2 ? now : undefined
      })
      expect(firing.map(({ labels }) => labels)).toEqual([{ pid: '4711', process: 'java' }, { unit: 'app.service' }])
    })

    test('entries vacuumed → reported, the rest read', async () => {
      await follow()
      await sees()
      await journal.append(app('failed disk'))
      await fires('1')
      const state = source?.state()
      await source?.close()
      rmSync(join(journal.directory, 'test.journal'))
      await journal.append(app('failed disk'))
      await follow({}, state)
      await fires('2')
      expect(told).toMatchObject([{ event: 'journal_entries_lost', level: 'warn', since: expect.stringMatching(/Z$/) }])
    })

    test('no journal yet → unknown, all of it read when it comes', async () => {
      rmSync(join(journal.directory, 'test.journal'))
      await follow()
      expect(await observe()).toBe('the journal has no entries')
      await journal.append(app('failed disk'))
      await fires('1')
    })

    test('journalctl killed → unknown, started again', async () => {
      await follow()
      await sees()
      const pid = await journalctlOf(journal.directory)
      process.kill(pid, 'SIGKILL')
      await until('it says so', async () => String(await observe()).includes('SIGKILL'))
      await journal.append(app('failed disk'))
      await fires('1')
    })

    test('source killed → journalctl ends', async () => {
      const program = `
      import { followJournal } from ${JSON.stringify(join(repository, 'host-worker/detector/sources/journal/follow-journal.ts'))}
      const source = followJournal(${JSON.stringify(config)}, null)
      setInterval(() => source.observe(Date.now()), 100)`
      const file = join(temporaryDirectory(), 'follow.ts')
      writeFileSync(file, program)
      const running = run(process.execPath, [file])
      const pid = await journalctlOf(journal.directory)
      running.kill('SIGKILL')
      expect((await running.ended).signal).toBe('SIGKILL')
      await gone([pid], 10_000)
    })
  },
)

describe('journal source, journalctl broken', () => {
  const path = process.env['PATH'] ?? ''
  const binaries = temporaryDirectory()
  const journalctl = (script: string): void => {
    writeFileSync(join(binaries, 'journalctl'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  }
  beforeEach(() => {
    config = { units: [], identifiers: [], kernel: false, fields: {}, pattern: 'x', count: 1, within: 60_000 }
    rmSync(join(binaries, 'journalctl'), { force: true })
    process.env['PATH'] = binaries
  })
  afterEach(() => {
    process.env['PATH'] = path
  })

  test('journalctl missing → says what to install', async () => {
    await follow()
    await until('it says so', async () =>
      String(await observe()).includes('journalctl is not installed: install systemd'),
    )
    expect(told).toMatchObject([{ event: 'journal_unreadable', level: 'warn' }])
  })

  test('no permission for all of the journal → said while it is so', async () => {
    const entry = JSON.stringify({ __CURSOR: 's=1', __REALTIME_TIMESTAMP: '1', MESSAGE: 'x' })
    journalctl(`
      echo '${entry}'
      case "$*" in *--follow*) ;; *) exit 0;; esac
      echo 'Hint: You are currently not seeing messages from other users and the system.' >&2
      echo '${entry.replace('s=1', 's=2')}'
      exec /bin/sleep 60`)
    await follow()
    await until('it says so', async () => String(await observe()).includes('systemd-journal'))
    await stays('it says so', async () => String(await observe()).includes('systemd-journal'), 3000)
  })

  test('invalid or too long entries → dropped, reported', async () => {
    const entry = (cursor: string): string =>
      JSON.stringify({ __CURSOR: cursor, __REALTIME_TIMESTAMP: `${Date.now()}000`, MESSAGE: 'x' })
    journalctl(`
      echo '${entry('s=1')}'
      case "$*" in *--follow*) ;; *) exit 0;; esac
      echo garbage
      /usr/bin/head -c 5000000 /dev/zero | /usr/bin/tr '\\0' x; echo
      echo '${entry('s=2')}'
      exec /bin/sleep 60`)
    await follow()
    await fires('1')
    expect(told.map(({ event }) => event)).toEqual(['journal_entry_unreadable', 'journal_entry_unreadable'])
  })
})

/** The `journalctl` that follows a directory. */
async function journalctlOf(directory: string): Promise<number> {
  return until('journalctl runs', () => {
    for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      const line = commandLineOf(name)
      if (line.includes('--follow') && line.includes(`--directory=${directory}`)) return Number(name)
    }
    return undefined
  })
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

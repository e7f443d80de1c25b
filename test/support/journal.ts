/** A systemd journal for one test, in a separate directory. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { execa } from 'execa'
import { JOURNAL_REMOTE } from '../../tools/debian-packages.ts'
import { temporaryDirectory } from './files.ts'

/** Fields of an entry: lines of text, or bytes. */
export type JournalFields = Record<string, string | Buffer>

/** Entries can be appended as if they had come from anyone, the kernel for one. */
export class TestJournal {
  readonly directory = temporaryDirectory()
  readonly #boot = newId()
  readonly #machines = new Map<string, { boot: string; machine: string }>()
  #number = 0

  /**
   * Appends entries, received now.
   *
   * @see https://systemd.io/JOURNAL_EXPORT_FORMATS
   */
  async append(...entries: JournalFields[]): Promise<void> {
    await this.#write('test.journal', this.#boot, {}, entries)
  }

  /** Appends entries as systemd-journal-remote does for another machine: in a separate file. */
  async appendFrom(host: string, ...entries: JournalFields[]): Promise<void> {
    const known = this.#machines.get(host) ?? { boot: newId(), machine: newId() }
    this.#machines.set(host, known)
    const fields = { _MACHINE_ID: known.machine, _HOSTNAME: host }
    await this.#write(`remote-${host}.journal`, known.boot, fields, entries)
  }

  async #write(name: string, boot: string, common: JournalFields, entries: JournalFields[]): Promise<void> {
    const parts = entries.flatMap((fields) => {
      this.#number += 1
      const time = { __REALTIME_TIMESTAMP: `${Date.now()}000`, __MONOTONIC_TIMESTAMP: String(this.#number) }
      const all = { ...time, _BOOT_ID: boot, ...common, ...fields }
      return [...Object.entries(all).map(([name, value]) => exported(name, value)), Buffer.from('\n')]
    })
    const file = join(this.directory, name)
    await execa(JOURNAL_REMOTE, ['--output', file, '-'], { input: Buffer.concat(parts) })
  }
}

function newId(): string {
  return randomUUID().replaceAll('-', '')
}

function exported(name: string, value: string | Buffer): Buffer {
  if (typeof value === 'string') return Buffer.from(`${name}=${value}\n`)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(value.length))
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, Buffer.from('\n')])
}

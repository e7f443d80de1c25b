/** For tests: a log's writer that knows which lines a reader must see, and a reader that can be restarted at any moment. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Notices } from '../matching/notices.ts'
import type { Notice } from '../source.ts'
import { followerState, LogFollower } from './log-follower.ts'

/** A directory with a log in it. Everything that was ever written to a file, as long as that was not truncated, is one text. */
export class LogWriter {
  readonly directory = mkdtempSync(join(tmpdir(), 'resile-log-'))
  readonly path = join(this.directory, 'app.log')
  readonly #texts = ['']
  #descriptor = openSync(this.path, 'a')
  /** Who still holds the file that was renamed last. */
  #late: { descriptor: number; text: number } | null = null

  /** All lines that were written, in no particular order. */
  get lines(): string[] {
    return this.#texts.flatMap((text) => text.replace(/\n$/, '').split('\n')).filter((line) => line !== '')
  }

  append(text: string): void {
    writeSync(this.#descriptor, text)
    this.#texts[this.#texts.length - 1] += text
  }

  /** Writes to the file that was renamed last, as a writer does that does not reopen it. */
  appendLate(text: string): void {
    if (this.#late === null) return
    writeSync(this.#late.descriptor, text)
    this.#texts[this.#late.text] += text
  }

  /** Ends a line that has none. */
  endLine(): void {
    if (/[^\n]$/.test(this.#texts.at(-1) ?? '')) this.append('\n')
  }

  /** `app.log` becomes `app.log.1`, and so on. */
  rename(): void {
    this.shift()
    renameSync(this.path, `${this.path}.1`)
    if (this.#late !== null) closeSync(this.#late.descriptor)
    this.#late = { descriptor: this.#descriptor, text: this.#texts.length - 1 }
    this.create()
  }

  copyAndTruncate(): void {
    this.shift()
    copyFileSync(this.path, `${this.path}.1`)
    this.truncate()
  }

  truncate(): void {
    truncateSync(this.path)
    this.#texts.push('')
  }

  remove(): void {
    unlinkSync(this.path)
    closeSync(this.#descriptor)
  }

  create(): void {
    this.#descriptor = openSync(this.path, 'a')
    this.#texts.push('')
  }

  /** Each older file's number becomes one more. */
  shift(): void {
    let last = 1
    while (existsSync(`${this.path}.${last}`)) last += 1
    for (; last > 1; last -= 1) renameSync(`${this.path}.${last - 1}`, `${this.path}.${last}`)
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Reads what some patterns name. Its clock goes on with each poll. */
export class LogReader {
  readonly lines: string[] = []
  readonly notices: Notice[] = []
  problem: string | null = null
  now = 1_000_000
  readonly #files: string[]
  readonly #from: 'beginning' | 'end'
  readonly #notices = new Notices()
  #follower: LogFollower

  constructor(files: string[], from: 'beginning' | 'end' = 'beginning') {
    this.#files = files
    this.#from = from
    this.#follower = this.#follow()
  }

  async poll(after = 100): Promise<void> {
    this.now += after
    this.problem = await this.#follower.poll(this.now)
    this.notices.push(...this.#notices.take())
  }

  /** Looks until nothing can be held back any more for what might follow it. */
  async settle(): Promise<void> {
    for (let polls = 0; polls < 4; polls += 1) await this.poll(20_000)
  }

  /** As after a kill: only the state that was kept after the last poll is left; `down` meanwhile. */
  async restart(down: () => void = () => {}): Promise<void> {
    const state = followerState.parse(JSON.parse(JSON.stringify(this.#follower.state())))
    await this.#follower.close()
    down()
    this.#follower = this.#follow(state)
  }

  async close(): Promise<void> {
    await this.#follower.close()
  }

  #follow(state?: ConstructorParameters<typeof LogFollower>[1]): LogFollower {
    const onLine = (line: string): void => void this.lines.push(line)
    return new LogFollower(
      { files: this.#files, from: this.#from, interval: 1000, onLine, notices: this.#notices },
      state,
    )
  }
}

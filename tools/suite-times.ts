import type { Reporter, TestModule } from 'vitest/node'

interface Span {
  from: number
  to: number
}

/** Notes from when to when each suite (a project of vitest) ran, from its first file's start to its last one's end. */
export class SuiteTimes implements Reporter {
  readonly #spans = new Map<string, Span>()

  onTestModuleStart(testModule: TestModule): void {
    this.#note(testModule)
  }

  onTestModuleEnd(testModule: TestModule): void {
    this.#note(testModule)
  }

  /** Such as `unit 1 min 40 s, edge 45 s`. */
  toString(): string {
    return [...this.#spans].map(([name, { from, to }]) => `${name} ${inWords(to - from)}`).join(', ')
  }

  #note({ project: { name } }: TestModule): void {
    const now = Date.now()
    const span = this.#spans.get(name)
    if (span === undefined) this.#spans.set(name, { from: now, to: now })
    else span.to = now
  }
}

function inWords(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

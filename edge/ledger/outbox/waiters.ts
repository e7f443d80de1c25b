/** Requests that wait in memory for an execution's start to be settled. */
export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Returns when {@link wake} is called for `id`, at once when it isn't pending, or after `ms`. */
  async wait(id: string, isPending: () => boolean, ms: number): Promise<void> {
    if (ms <= 0 || !isPending()) return
    await new Promise<void>((resolve) => {
      const waiting = this.#waiting.get(id) ?? new Set()
      this.#waiting.set(id, waiting)
      const done = (): void => {
        clearTimeout(timer)
        waiting.delete(done)
        if (waiting.size === 0) this.#waiting.delete(id)
        resolve()
      }
      const timer = setTimeout(done, ms)
      waiting.add(done)
    })
  }

  /** Lets all requests go on that wait for `id`. */
  wake(id: string): void {
    this.#waiting.get(id)?.forEach((done) => {
      done()
    })
  }
}

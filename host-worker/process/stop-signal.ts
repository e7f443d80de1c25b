const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** An AbortSignal that aborts at the first SIGINT, SIGTERM or SIGHUP, or of those given; a second SIGINT ends the process at once. */
export function stopSignal(signals: readonly (typeof SIGNALS)[number][] = SIGNALS): AbortSignal {
  const controller = new AbortController()
  let interrupts = 0
  const stop = (name: NodeJS.Signals): void => {
    if (name === 'SIGINT' && ++interrupts > 1) process.exit(130)
    controller.abort(name)
  }
  for (const name of signals) process.on(name, stop)
  return controller.signal
}

/** Resolves when a signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
}

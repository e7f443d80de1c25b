/** What a long task needs to know. */
export interface LongTask {
  log: (line: string) => void
  env: NodeJS.ProcessEnv
  signal: AbortSignal | undefined
}

/** Says what is being done, that it still is from time to time, and how long it took. */
export async function withProgress<T>(
  { log }: Pick<LongTask, 'log'>,
  { title, detail }: { title: string; detail?: () => string },
  run: () => Promise<T>,
): Promise<T> {
  log(title)
  const started = performance.now()
  const elapsed = () => `${Math.round((performance.now() - started) / 1000)} s`
  const timer = setInterval(
    () => log(`  still running after ${[elapsed(), detail?.()].filter(Boolean).join(', ')}`),
    10_000,
  )
  try {
    const result = await run()
    log(`  done in ${elapsed()}`)
    return result
  } finally {
    clearInterval(timer)
  }
}

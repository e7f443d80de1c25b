/** What a promise brings within a time in milliseconds, else what `otherwise` returns, or throws. */
export async function within<Value>(ms: number, promise: Promise<Value>, otherwise: () => Value): Promise<Value> {
  let timer: number | null = null
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  }).then(otherwise)
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}

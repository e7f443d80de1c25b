import { vi } from 'vitest'
import { GlobalLedger } from '../global-ledger/global-ledger.ts'

type Method = 'judge' | 'reserve' | 'report'

/**
 * Lets a method of every GlobalLedger fail, as when it can't be reached: before or after it took effect, so many times,
 * or never return.
 */
export function failing(
  method: Method,
  { before, times = Number.POSITIVE_INFINITY, hangs = false }: { before: boolean; times?: number; hangs?: boolean },
): { mockRestore(): void } {
  const { prototype } = GlobalLedger
  const original: unknown = Reflect.get(prototype, method)
  if (vi.isMockFunction(original)) return { mockRestore: () => undefined }
  let left = times
  const fail = async function fail(this: GlobalLedger, ...args: unknown[]): Promise<unknown> {
    const run = (): unknown => Reflect.apply(original as (...args: unknown[]) => unknown, this, args)
    if (left <= 0) return run()
    left -= 1
    if (!before) await run()
    if (hangs) return new Promise(() => undefined)
    throw new Error('connection lost')
  }
  return vi.spyOn(prototype, method).mockImplementation(fail)
}

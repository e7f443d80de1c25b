/** Checks of a host, and their findings. */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../shared/log.ts'

/** The finding of a check; `hint` says what to do about it. */
export interface Finding {
  status: 'ok' | 'warn' | 'fail'
  detail: string
  hint: string | null
}

/** One check. When it throws, it failed. */
export interface Check {
  name: string
  run: () => Promise<Finding> | Finding
}

/** A finding, by the name of the check. */
export type Checked = { name: string } & Finding

/** Longest that one check may take, in milliseconds. */
const CHECK_TIMEOUT_MS = 5000

/** All is well. */
export function ok(detail: string): Finding {
  return { status: 'ok', detail, hint: null }
}

/** It works, but not as it should, or it is not known. */
export function warn(detail: string, hint: string | null = null): Finding {
  return { status: 'warn', detail, hint }
}

/** It does not work. */
export function fail(detail: string, hint: string | null = null): Finding {
  return { status: 'fail', detail, hint }
}

/** The most serious of several findings; what they say is joined. */
export function worst(findings: readonly Finding[]): Finding {
  const order = ['fail', 'warn', 'ok'] as const
  const status = order.find((candidate) => findings.some((finding) => finding.status === candidate)) ?? 'ok'
  const those = findings.filter((finding) => finding.status === status)
  const hints = those.flatMap(({ hint }) => hint ?? [])
  return {
    status,
    detail: those.map(({ detail }) => detail).join('; '),
    hint: hints.length === 0 ? null : [...new Set(hints)].join('; '),
  }
}

/**
 * Makes all checks at once. None can hold up or hide another: one that takes too long has failed.
 *
 * @param timeout milliseconds for each
 */
export async function runChecks(checks: readonly Check[], timeout = CHECK_TIMEOUT_MS): Promise<Checked[]> {
  return Promise.all(checks.map(async ({ name, run }) => ({ name, ...(await bounded(run, timeout)) })))
}

async function bounded(run: Check['run'], timeout: number): Promise<Finding> {
  const over = new AbortController()
  const late = sleep(timeout, fail(`no answer within ${timeout / 1000} s`), { signal: over.signal })
  late.catch(() => undefined)
  try {
    return await Promise.race([run(), late])
  } catch (error) {
    return fail(messageOf(error))
  } finally {
    over.abort()
  }
}

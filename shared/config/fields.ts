/** Building blocks of the configuration's schemas. */
import { RE2JS } from 're2js'
import { z } from 'zod'
import { isExposed } from '../loopback.ts'
import { isName, NAME_RULE } from '../names.ts'

export const name = z.string({ error: 'expected a quoted name' }).refine(isName, { error: `not a name: ${NAME_RULE}` })
export const text = z.string({ error: 'expected a quoted string' }).min(1, { error: 'must not be empty' })
export const flag = z.boolean({ error: 'expected true or false' })
export const pattern = text.refine(isLinearPattern, {
  error: 'not a regular expression that runs in linear time (RE2 syntax)',
})
export const environmentVariable = text.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
  error: 'expected the name of an environment variable',
})
export const hostPort = text.refine(isHostPort, { error: 'expected HOST:PORT' })
/** Hosts that checks may request: `*.example.org` is the names below example.org, `*` all. */
export const checkHost = text.refine(
  (value) =>
    value === '*' ||
    [z.hostname(), z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()].some(
      (schema) => schema.safeParse(value.replace(/^\*\./, '')).success,
    ),
  { error: 'expected a host name, "*." and the end of names, an address, a network such as "10.0.0.0/8", or "*"' },
)
export const localListener = text.refine((value) => isHostPort(value) || /^unix:\/.{1,99}$/.test(value), {
  error: 'expected HOST:PORT, or unix: and an absolute path of at most 100 bytes',
})
export const httpUrl = text.refine(isHttpUrl, { error: 'expected an http:// or https:// URL' })
/** One that holds no secret: a user or password in it would be shown wherever it is. */
export const openUrl = httpUrl.refine(hasNoUser, { error: 'must not hold a user or password' })

/** One to which paths are appended. */
export const baseUrl = openUrl.refine((value) => !/[?#]/.test(value), { error: 'must not have a query or a fragment' })

/**
 * Lets a check over several keys run although something else is wrong, so that every mistake is reported at once: only
 * a mistake in `keys` themselves stops it, and what it reads of other keys may be of any type.
 *
 * An issue which says that something is absent has `params.missing`, the keys that would satisfy it, so that a reader
 * who knows why they are absent (misspelt, say) can leave it out.
 */
export function given(...keys: string[]): { when: (payload: z.core.ParsePayload) => boolean } {
  return {
    when: ({ value, issues }) =>
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      !issues.some(({ path }) => path?.length === 1 && keys.includes(String(path[0]))),
  }
}

/** A check that both keys are given, or neither. */
export function refuseHalfPair(
  first: string,
  second: string,
): [(block: object, context: z.RefinementCtx) => void, ReturnType<typeof given>] {
  const check = (block: object, context: z.RefinementCtx): void => {
    const absent = [first, second].filter((key) => Reflect.get(block, key) === undefined)
    if (absent.length !== 1) return
    context.addIssue({
      code: 'custom',
      path: absent,
      message: `${first} and ${second} go together`,
      params: { missing: absent },
    })
  }
  return [check, given(first, second)]
}

/**
 * A check that no URL under a key is requested unencrypted over a network, unless the block has `plaintext = true`.
 *
 * @param block the name of the block, for the message
 */
export function refuseExposedUrls(
  block: string,
  key: string,
): [(value: object, context: z.RefinementCtx) => void, ReturnType<typeof given>] {
  const check = (value: object, context: z.RefinementCtx): void => {
    const urls: unknown = Reflect.get(value, key)
    if (Reflect.get(value, 'plaintext') === true) return
    const exposed = [urls].flat().find((url) => typeof url === 'string' && isExposed(url))
    if (exposed === undefined) return
    const message =
      `${exposed} would be requested unencrypted: use https://, or add plaintext = true to the ${block} block ` +
      'to accept it'
    context.addIssue({ code: 'custom', path: [key], message })
  }
  return [check, given(key, 'plaintext')]
}

export const numberOrText = z.union([z.number(), z.string()], { error: 'expected a whole number, quoted or not' })

/** A whole number, quoted or not: operators write both. */
export const wholeNumber = numberOrText.transform(toWholeNumber)

/** A whole number of 0 or more, quoted or not. */
export function toWholeNumber(value: string | number, context: z.RefinementCtx): number {
  const number = typeof value === 'string' && !/^\d+$/.test(value) ? null : Number(value)
  if (number !== null && Number.isSafeInteger(number) && number >= 0) return number
  const message = number === null ? 'expected a whole number, quoted or not' : 'expected a whole number of 0 or more'
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}

function isLinearPattern(value: string): boolean {
  try {
    RE2JS.compile(value)
    return true
  } catch {
    return false
  }
}

function isHttpUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : null
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:')
}

function hasNoUser(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : null
  return url === null || (url.username === '' && url.password === '')
}

export function isHostPort(value: string): boolean {
  const port = /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(value)?.[1]
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}

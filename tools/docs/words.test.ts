/** The documentation uses the words of docs/glossary.md. */
import { expect, test } from 'vitest'
import { pages, proseLines } from './markdown.ts'
import { GENERATED } from './text.ts'

/** Words that have a better one: see the glossary. */
const AVOIDED: readonly (readonly [RegExp, string])[] = [
  [/\bdoors?\b/i, 'endpoint, listener'],
  [/\bhumans?\b/i, 'operator'],
  [/\b(?:anew|afresh)\b/i, 'again'],
  [/\bbad end\b/i, 'failed, expired or was lost'],
  [/\bkill switch\b/i, 'freeze'],
  [/\b(?:can't|doesn't|isn't|won't|don't|aren't)\b/i, 'the long form'],
  [/\bsomebody\b/i, 'someone, an operator'],
]

test('words: documentation → none that the glossary replaces', () => {
  const found = pages().flatMap(({ path, text }) =>
    // The words of a generated page are the code's.
    text.startsWith(GENERATED)
      ? []
      : proseLines(text).flatMap((line, index) =>
          AVOIDED.flatMap(([word, better]) => {
            const match = word.exec(line.replaceAll(/`[^`]*`/g, ''))
            return match === null ? [] : [`${path}:${index + 1}: ${match[0]}: write ${better}`]
          }),
        ),
  )
  expect(found).toEqual([])
})

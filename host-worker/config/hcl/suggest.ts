/** The candidate that a misspelt word most likely means, or null when none is close. */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null
  let least = Math.min(3, Math.max(1, Math.floor(word.length / 3))) + 1
  for (const candidate of candidates) {
    if (word.length > 2 && candidate.startsWith(word)) return candidate
    const steps = distance(word.toLowerCase(), candidate.toLowerCase())
    if (steps >= least) continue
    least = steps
    best = candidate
  }
  return best
}

/** The end of a message on a misspelt word: `; did you mean "…"?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const meant = suggest(word, candidates)
  return meant === null ? '' : `; did you mean "${meant}"?`
}

/** How many letters must be added, left out, replaced or swapped with their neighbour. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : replaced
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped))
    }
  }
  return at(a.length, b.length)
}

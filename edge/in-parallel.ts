/** Does a job for each item, so many at the same time, begun in their order. @returns the results in the same order */
export async function inParallel<Item, Result>(
  most: number,
  items: readonly Item[],
  job: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const left = items.entries()
  const workers = Array.from({ length: Math.min(most, items.length) }, async () => {
    // All of them take from the one iterator.
    for (const [index, item] of left) results[index] = await job(item)
  })
  await Promise.all(workers)
  return results
}

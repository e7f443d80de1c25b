import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { LedgerPage } from './ledger/types.ts'
import { mergePages } from './ledgers.ts'

interface Item {
  id: string
}

/** A ledger's page: its newest below the cursor, cut anywhere. */
function page(ids: readonly string[], before: string | null, size: number): LedgerPage<Item> {
  const rest = ids
    .filter((id) => before === null || id < before)
    .sort()
    .reverse()
  return { entries: rest.slice(0, size).map((id) => ({ key: id, item: { id } })), more: rest.length > size }
}

it('mergePages: several ledgers → every item once, newest first', () => {
  const ids = fc.uniqueArray(fc.integer({ min: 1000, max: 9999 }).map(String), { maxLength: 40 })
  fc.assert(
    fc.property(
      ids,
      fc.infiniteStream(fc.nat(2)),
      fc.integer({ min: 1, max: 8 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 8 })),
      (all, homes, limit, sizes) => {
        const ledgers: string[][] = [[], [], []]
        for (const id of all) ledgers[Number(homes.next().value)]?.push(id)
        const seen: string[] = []
        let cursor: string | null = null
        do {
          const pages: LedgerPage<Item>[] = ledgers.map((ledger) =>
            page(ledger, cursor, Math.min(limit, Number(sizes.next().value))),
          )
          const merged: { items: Item[]; next_cursor: string | null } = mergePages(pages, limit)
          expect(merged.items.length).toBeLessThanOrEqual(limit)
          seen.push(...merged.items.map(({ id }) => id))
          cursor = merged.next_cursor
        } while (cursor !== null)
        expect(seen).toEqual([...all].sort().reverse())
      },
    ),
  )
})

/** Chance that can be repeated: the same seed gives the same numbers. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number, both bounds included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** Another generator, for numbers whose order of drawing depends on timing rather than on the seed. */
  fork(): Random {
    return new Random(this.whole(0, 2 ** 32 - 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** One of several; `shares` say how likely each is, all the same without. */
  pick<Item>(items: readonly Item[], shares: (item: Item) => number = () => 1): Item {
    let left = this.next() * items.reduce((sum, item) => sum + shares(item), 0)
    for (const item of items) {
      left -= shares(item)
      if (left < 0) return item
    }
    const last = items.at(-1)
    if (last === undefined) throw new Error('nothing to pick from')
    return last
  }
}

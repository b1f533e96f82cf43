import { LRUCache } from 'lru-cache'

/** As many callers as there are tokens in the cache, by default, if each weighs no more than this. */
const LEAST_WEIGHT = 10
/** Callers with thousands of customers must not fill the memory that many entries may take. */
const MOST_WEIGHT = 100_000 * LEAST_WEIGHT

/** What was found out, each under a digest and until a moment of its own; bounded, the least recently used goes first. */
export function createMemory<Value extends object>(
  now: () => number,
  weight: (value: Value) => number = () => 1,
) {
  const entries = new LRUCache<string, { readonly value: Value; readonly until: number }>({
    // By weight alone: told of a number, the library lays out room for so many at the start.
    maxSize: MOST_WEIGHT,
    sizeCalculation: ({ value }) => Math.max(LEAST_WEIGHT, weight(value)),
  })

  return {
    get(digest: string): Value | undefined {
      const entry = entries.get(digest)
      if (entry === undefined) return undefined
      if (now() < entry.until) return entry.value
      entries.delete(digest)
      return undefined
    },
    keep(digest: string, value: Value, until: number): void {
      if (now() < until) entries.set(digest, { value, until })
    },
  }
}

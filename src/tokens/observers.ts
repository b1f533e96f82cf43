export const CACHE_TIERS = ['memory', 'redis'] as const
export const CACHE_OPS = ['get', 'set', 'evict'] as const
export const CACHE_OUTCOMES = ['hit', 'miss', 'ok', 'refused', 'undecipherable', 'error'] as const

/** One use of a cache. `refused`: somebody else's value was newer, or the customer was evicted meanwhile. */
export type CacheEvent = {
  readonly tier: (typeof CACHE_TIERS)[number]
  readonly op: (typeof CACHE_OPS)[number]
  readonly outcome: (typeof CACHE_OUTCOMES)[number]
}

export const REFRESH_OUTCOMES = ['renewed', 'adopted', 'elsewhere', 'failed'] as const
/** `adopted`: another replica had renewed already. `elsewhere`: one is at it. */
export type RefreshOutcome = (typeof REFRESH_OUTCOMES)[number]

export type BrokerObservers = {
  onCache(event: CacheEvent): void
  /** Tokens in this process's memory. */
  onEntries(count: number): void
  onRefresh(outcome: RefreshOutcome): void
}

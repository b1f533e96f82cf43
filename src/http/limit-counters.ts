import type { RedisLink } from '../redis/link.ts'
import { type Counters, createLocalCounters, orLocally } from './counters.ts'
import { createSharedCounters } from './shared-counters.ts'

export type LimitCountersSettings = {
  readonly hmacKey: Buffer
  /** What becomes of customers' limits while Redis is away. */
  readonly onRedisError: 'local' | 'deny'
}

export type LimitCounters = { readonly customers: Counters; readonly failures: Counters }

/** Where the two limits count: in Redis for all replicas, or here. */
export function createLimitCounters(
  { hmacKey, onRedisError }: LimitCountersSettings,
  redis: RedisLink | null,
  now: () => number,
): LimitCounters {
  const local = createLocalCounters(now)
  if (!redis) return { customers: local, failures: local }
  const shared = createSharedCounters(redis, hmacKey)
  const eitherWay = orLocally(shared, local)
  return {
    customers: onRedisError === 'deny' ? shared : eitherWay,
    // Failed authentications are counted here at the least: a Redis that is away must not lock anybody out.
    failures: eitherWay,
  }
}

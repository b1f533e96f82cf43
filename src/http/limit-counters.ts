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
  const customers = createLocalCounters(now)
  const failures = createLocalCounters(now)
  if (!redis) return { customers, failures }
  const shared = createSharedCounters(redis, { kind: 'customer', hmacKey })
  return {
    customers: onRedisError === 'deny' ? shared : orLocally(shared, customers),
    // Failed authentications are counted here at the least: a Redis that is away must not lock anybody out.
    failures: orLocally(createSharedCounters(redis, { kind: 'address', hmacKey }), failures),
  }
}

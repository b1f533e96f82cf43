import { randomBytes } from 'node:crypto'
import type { Log } from '../log.ts'
import type { RedisLink } from '../redis/link.ts'
import type { Names } from './cache-key.ts'
import type { Evictions } from './eviction.ts'
import type { Held, MemoryCache } from './memory-cache.ts'
import type { RedisCache } from './redis-cache.ts'
import { mayBeServed } from './token.ts'

/** The stamp of a token for which Redis has no place: another replica's is there, or the customer was evicted. */
export const NOT_SHARED = ''

export type Recovery = {
  /** A token was minted that only this process has. */
  noteUnshared(): void
  /** Finds out what was missed, and puts back what Redis lacks. */
  catchUp(): Promise<void>
  close(): void
}

export type RecoveryDeps = {
  readonly log: Log
  readonly names: () => Names
  readonly memory: MemoryCache
  readonly cache: RedisCache
  readonly evictions: Evictions
}

/** How old an unheard eviction can get at most. */
const CATCH_UP_EVERY_MS = 1_000
const AT_ONCE = 50

/**
 * Makes good what an outage did: evictions that were missed are caught up with, and what only this
 * process has (tokens minted while Redis was away, or everything after Redis has lost what it held) is
 * put into Redis. Otherwise each replica would mint for each customer once more.
 */
export function createRecovery(link: RedisLink, deps: RecoveryDeps): Recovery {
  const { log, names, memory, cache, evictions } = deps
  let isUnderWay = false
  let redisHasLostAll = false
  let hasUnshared = false

  async function seed([customerId, held]: readonly [string, Held]): Promise<void> {
    const { variant, hit } = held
    if (memory.peek(customerId, variant) !== held) return
    const stamp = randomBytes(9).toString('base64url')
    const name = names().token(customerId, variant)
    const isThere = await cache.seed(name, stamp, { customerId, variant, token: hit.token })
    held.stamp = isThere ? stamp : NOT_SHARED
  }

  async function seedWhere(isLacking: (held: Held) => boolean): Promise<void> {
    const lacking = [...memory.entries()].filter(
      ([, held]) =>
        isLacking(held) && mayBeServed(held.hit.token, memory.nowFor(held), 'answering'),
    )
    for (let i = 0; i < lacking.length; i += AT_ONCE)
      await Promise.all(lacking.slice(i, i + AT_ONCE).map(seed))
  }

  async function catchUp(): Promise<void> {
    if (isUnderWay || !link.up) return
    isUnderWay = true
    try {
      if ((await evictions.catchUp()) === 'lost') redisHasLostAll = true
      if (!redisHasLostAll && !hasUnshared) return
      // Before, because more may be minted while these are put.
      hasUnshared = false
      if (redisHasLostAll && memory.count > 0)
        log.info(
          { tokens: memory.count },
          'Redis has lost its tokens: putting back those held here',
        )
      await seedWhere(redisHasLostAll ? () => true : (held) => held.stamp === null)
      redisHasLostAll = false
    } catch {
      // Redis has gone away again; the next round does it.
      hasUnshared = true
    } finally {
      isUnderWay = false
    }
  }

  const timer = setInterval(() => void catchUp(), CATCH_UP_EVERY_MS).unref()

  return {
    noteUnshared: () => {
      hasUnshared = true
    },
    catchUp,
    close: () => clearInterval(timer),
  }
}

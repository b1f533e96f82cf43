import { randomBytes } from 'node:crypto'
import type { Names } from './cache-key.ts'
import type { Held, MemoryCache } from './memory-cache.ts'
import type { RedisCache } from './redis-cache.ts'
import { mayBeServed } from './token.ts'

/** Another replica has put its own in the meantime; this one's is used up where it is. */
export const NOT_SHARED = ''

const AT_ONCE = 50

/**
 * Puts into Redis what only this process has: tokens minted while Redis was away, or everything after
 * Redis has lost what it held. Otherwise each replica would mint for each customer once more.
 */
export async function seedRedis(
  memory: MemoryCache,
  cache: RedisCache,
  names: () => Names,
  which: 'unshared' | 'all',
): Promise<void> {
  async function seed([customerId, held]: readonly [string, Held]): Promise<void> {
    if (memory.peek(customerId, held.variant) !== held) return
    const { token } = held.hit
    const stamp = randomBytes(9).toString('base64url')
    const name = names().token(customerId, held.variant)
    const placed = { customerId, variant: held.variant, token }
    held.stamp = (await cache.seed(name, stamp, placed)) ? stamp : NOT_SHARED
  }

  const wanted = [...memory.entries()].filter(
    ([, held]) =>
      (which === 'all' || held.stamp === null) &&
      mayBeServed(held.hit.token, memory.nowFor(held), 'answering'),
  )
  for (let i = 0; i < wanted.length; i += AT_ONCE)
    await Promise.all(wanted.slice(i, i + AT_ONCE).map(seed))
}

import { randomBytes } from 'node:crypto'
import type { Log } from '../log.ts'
import type { RedisLink } from '../redis/link.ts'
import type { CacheName } from './cache-key.ts'
import { createEvictions } from './eviction.ts'
import type { Fleet, MintRight, Search, Sought } from './fleet.ts'
import { createLeases, type Lease } from './lease.ts'
import type { MemoryCache } from './memory-cache.ts'
import { createNews, newsChannel } from './news.ts'
import type { CacheEvent } from './observers.ts'
import { createRecovery, NOT_SHARED } from './recovery.ts'
import { createRedisCache, type Grant, type Vault } from './redis-cache.ts'
import { createWatches, type Watch } from './watch.ts'

export type RedisFleetSettings = {
  /** How long another replica's mint is waited for. */
  readonly longestWaitMs: number
}

export type RedisFleetDeps = {
  readonly link: RedisLink
  readonly log: Log
  readonly vault: () => Vault
  readonly memory: MemoryCache
  readonly now: () => number
  readonly uptime: () => number
  readonly onCache: (event: CacheEvent) => void
  /** `null`: every customer. */
  readonly onEvicted: (customerId: string | null) => void
}

/** The news comes by message; this is for when the message, or the one who would send it, is lost. */
const POLL_EVERY_MS = 200

/** The replicas that share a Redis. */
export function createRedisFleet(settings: RedisFleetSettings, deps: RedisFleetDeps): Fleet {
  const { link, log, vault, memory, now, uptime, onCache, onEvicted } = deps
  const cache = createRedisCache(link, { vault, log, now, onCache })
  const leases = createLeases(link)
  const watches = createWatches()
  const channel = newsChannel(link)
  const evictions = createEvictions(link, { vault, channel, log, uptime, onEvicted })
  const recovery = createRecovery(link, {
    log,
    names: () => vault().names,
    memory,
    cache,
    evictions,
  })
  const onGap = () => void recovery.catchUp()
  const news = createNews(link, { vault, memory, watches, evictions, onGap })

  /** Without Redis, or without waiting any longer: nobody is told, and nobody prevents it. */
  const alone: Sought = {
    kind: 'granted',
    right: {
      async keep() {
        recovery.noteUnshared()
        return null
      },
      async giveBack() {},
    },
  }

  async function seek(search: Search): Promise<Sought> {
    const name = vault().names.token(search.customerId, search.variant)
    const watch = watches.open(name)
    try {
      return await seekBy(search, name, watch)
    } finally {
      watch.close()
    }
  }

  async function seekBy(search: Search, name: CacheName, watch: Watch): Promise<Sought> {
    const owner = randomBytes(12).toString('base64url')
    const lease: Lease = { key: cache.keyOf(name), variant: name.variant, owner }
    const givesUpAt = uptime() + settings.longestWaitMs
    let passedOver = search.passedOver ?? ''
    let waited = false
    for (;;) {
      const found = await cache
        .seek(name, lease, passedOver, search.customerIsKnown)
        .catch(() => null)
      // A cache that fails is a miss.
      if (found === null) return alone
      switch (found.kind) {
        case 'value':
          return { kind: 'found', shared: found.shared, waited }
        case 'unreadable':
          passedOver = found.stamp
          continue
        case 'granted':
          leases.hold(lease)
          return { kind: 'granted', right: rightBy(search, name, lease, found.grant) }
        case 'busy':
          if (!search.patient) return { kind: 'elsewhere' }
          if (uptime() > givesUpAt) return alone
          waited = true
          await watch.news(POLL_EVERY_MS)
          if (watch.failure !== null) throw watch.failure
      }
    }
  }

  function rightBy(search: Search, name: CacheName, lease: Lease, grant: Grant): MintRight {
    const { customerId, variant } = search
    return {
      async keep(token) {
        const placed = { customerId, variant, token }
        const kept = await cache.keep(name, lease, grant, placed).catch(() => undefined)
        leases.letGo(lease)
        if (kept === undefined) {
          recovery.noteUnshared()
          return null
        }
        if (kept === null) news.freed(name, null)
        else news.stored(name, lease.owner, kept)
        return kept === null ? NOT_SHARED : lease.owner
      },
      async giveBack(failure) {
        await leases.giveBack(lease)
        news.freed(name, failure)
      },
    }
  }

  return {
    seek,
    workspaceOf: (customerId) => cache.workspaceOf(customerId).catch(() => null),
    async evict(customerId) {
      try {
        await evictions.evict(customerId)
        onCache({ tier: 'redis', op: 'evict', outcome: 'ok' })
      } catch (error) {
        onCache({ tier: 'redis', op: 'evict', outcome: 'error' })
        throw error
      }
    },
    async close() {
      recovery.close()
      await leases.close()
    },
  }
}

import { randomBytes } from 'node:crypto'
import type { RedisLink } from '../redis/link.ts'
import { type CacheName, FORMAT } from './cache-key.ts'
import { createEvictions } from './eviction.ts'
import { createLoneFleet, type Fleet, type MintRight, type Search, type Sought } from './fleet.ts'
import { createLeases, LEASE_MS, type Lease } from './lease.ts'
import type { MemoryCache } from './memory-cache.ts'
import { type FleetMessage, freedMessage, parseMessage, storedMessage } from './messages.ts'
import type { CacheEvent } from './observers.ts'
import { createRedisCache, type Grant, type Vault } from './redis-cache.ts'
import { openToken } from './sealed-token.ts'
import { NOT_SHARED, seedRedis } from './seeding.ts'
import { createWatches, type Watch } from './watch.ts'

export type RedisFleetSettings = {
  /** How long another replica's mint is waited for. */
  readonly longestWaitMs: number
}

export type RedisFleetDeps = {
  readonly link: RedisLink
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
/** How old an unheard eviction can get at most. */
const CATCH_UP_EVERY_MS = 1_000

/** The replicas that share a Redis. */
export function createRedisFleet(settings: RedisFleetSettings, deps: RedisFleetDeps): Fleet {
  const { link, vault, memory, now, uptime, onCache } = deps
  const instance = randomBytes(6).toString('base64url')
  const channel = link.key(`${FORMAT}:news`)
  const cache = createRedisCache(link, vault, LEASE_MS, now, onCache)
  const leases = createLeases(link)
  const watches = createWatches()
  const evictions = createEvictions(link, { vault, channel, uptime, onEvicted: deps.onEvicted })
  const lone = createLoneFleet()
  /** Tokens were minted that only this process has. */
  let hasUnshared = false

  function alone(search: Search): Promise<Sought> {
    hasUnshared = true
    return lone.seek(search)
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
      if (found === null) return alone(search)
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
          if (uptime() > givesUpAt) return alone(search)
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
        const kept = await cache
          .keep(name, lease, grant, { customerId, variant, token })
          .catch(() => undefined)
        leases.letGo(lease)
        if (kept === undefined) {
          hasUnshared = true
          return null
        }
        const stamp = lease.owner
        say(
          kept === null
            ? freedMessage(name, null)
            : storedMessage({ kind: 'stored', from: instance, name, stamp, ...kept }),
          name,
        )
        return kept === null ? NOT_SHARED : stamp
      },
      async giveBack(failure) {
        await leases.giveBack(lease)
        say(freedMessage(name, failure), name)
      },
    }
  }

  /** Nobody waits for it: whoever misses the message polls. */
  function say(message: string, name: CacheName): void {
    watches.tell(name, null)
    link.run((redis) => redis.publish(channel, message)).catch(() => {})
  }

  function hear(text: string | null): void {
    if (text === null) {
      void catchUp()
      return
    }
    const message = parseMessage(text)
    if (message === null) return
    if (message.kind === 'evicted') {
      evictions.hear(message)
      return
    }
    if (message.kind === 'stored' && message.from !== instance) replace(message)
    watches.tell(message.name, message.kind === 'freed' ? message.failure : null)
  }

  /** A token that was renewed elsewhere takes the place of the one held here, if one is. */
  function replace({ name, sealed, stamp, keptForMs }: Extract<FleetMessage, { kind: 'stored' }>) {
    const placed = openToken(vault().sealer, name, sealed)
    if (placed === null) return
    const { customerId, variant, token } = placed
    const held = memory.peek(customerId, variant)
    // A message may be overtaken by an eviction and the mint after it.
    if (held !== undefined && held.hit.token.receivedAt < token.receivedAt)
      memory.put(customerId, variant, token, stamp, keptForMs)
  }

  let isCatchingUp = false
  let hasLostAll = false
  async function catchUp(): Promise<void> {
    if (isCatchingUp || !link.up) return
    isCatchingUp = true
    try {
      if ((await evictions.catchUp()) === 'lost') hasLostAll = true
      const which = hasLostAll ? 'all' : hasUnshared ? 'unshared' : null
      if (which === null) return
      // Before, because more may be minted while these are put.
      hasUnshared = false
      await seedRedis(memory, cache, () => vault().names, which)
      hasLostAll = false
    } catch {
      // Redis went away again; the next round does it.
      hasUnshared = true
    } finally {
      isCatchingUp = false
    }
  }

  link.subscribe(channel, hear)
  const timer = setInterval(() => void catchUp(), CATCH_UP_EVERY_MS).unref()

  return {
    seek,
    workspaceOf: (customerId) => cache.workspaceOf(customerId).catch(() => null),
    evict: (customerId) => evictions.evict(customerId),
    async close() {
      clearInterval(timer)
      await leases.close()
    },
  }
}

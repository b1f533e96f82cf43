import type { Log } from '../log.ts'
import type { RedisLink } from '../redis/link.ts'
import type { Urgency } from '../upstream/upstream.ts'
import { createNames, createVariants } from './cache-key.ts'
import { createLoneFleet, type Fleet } from './fleet.ts'
import { createIssuing, type Issued } from './issuing.ts'
import { createMemoryCache } from './memory-cache.ts'
import type { BrokerObservers, CacheEvent } from './observers.ts'
import type { Vault } from './redis-cache.ts'
import { createRedisFleet } from './redis-fleet.ts'
import { createRenewal } from './renewal.ts'
import { type CacheKey, createSealer, derivedKey } from './seal.ts'
import { createSupply } from './supply.ts'
import { type Demand, meets, refreshAfter, type Token, type TokenRequest } from './token.ts'

export type { Issued, IssueSource } from './issuing.ts'

export type BrokerSettings = {
  /** Everything in the upstream settings that decides tokens, and is no secret. */
  readonly identity: readonly string[]
  /** What the cache's names are derived from, and its keys if none are given. */
  readonly orgSecret: string
  /** Newest first; `null`: derived from the org secret. */
  readonly encryptionKeys: readonly CacheKey[] | null
  readonly maxEntries: number
  readonly maxBytes: number
  /** The longest a mint takes, its retries included; another replica's is not waited for much longer. */
  readonly mintTimeLimitMs: number
}

export type BrokerDeps = {
  readonly mint: (request: TokenRequest, urgency: Urgency) => Promise<Token>
  readonly redis: RedisLink | null
  readonly log: Log
  readonly observers: BrokerObservers
  readonly now?: () => number
  /** Milliseconds on a clock that nobody sets. */
  readonly uptime?: () => number
}

export type Broker = {
  /** The kept token, at once when this process has it, or a new one: one flight per customer and variant. */
  issue(request: TokenRequest, demand: Demand): Issued | Promise<Issued>
  /**
   * Forgets a customer's tokens on every replica.
   * @throws BrokerError `cache_unavailable` when not every replica can be told; this one has forgotten all the same
   */
  evictCustomer(customerId: string): Promise<void>
  evictAll(): Promise<void>
  /** What this process has at hand and may still live; asks nobody, renews nothing. */
  held(request: TokenRequest): Token | undefined
  /** The workspace that this fleet's tokens for the customer belong to, if any has been minted lately. */
  knownWorkspace(customerId: string): Promise<string | null>
  reload(settings: BrokerSettings): void
  /** Gives leases back; what is in the air still lands. */
  close(): Promise<void>
}

const MEMORY_HIT: CacheEvent = { tier: 'memory', op: 'get', outcome: 'hit' }
const MEMORY_MISS: CacheEvent = { tier: 'memory', op: 'get', outcome: 'miss' }

/** So that a waiter gets the failure of the mint it waits for, rather than mint beside it. */
const WAIT_LONGER_MS = 2_000

function vaultOf({ orgSecret, identity, encryptionKeys }: BrokerSettings): Vault {
  return {
    names: createNames(orgSecret, identity),
    sealer: createSealer(encryptionKeys ?? [derivedKey(orgSecret)]),
  }
}

export function createBroker(settings: BrokerSettings, deps: BrokerDeps): Broker {
  const { observers, mint } = deps
  const now = deps.now ?? Date.now
  const uptime = deps.uptime ?? (() => performance.now())
  const variants = createVariants()
  const { variantOf } = variants
  const memory = createMemoryCache(settings, variants, now, uptime)
  let vault = vaultOf(settings)
  const fleet: Fleet =
    deps.redis === null
      ? createLoneFleet()
      : createRedisFleet(
          { longestWaitMs: settings.mintTimeLimitMs + WAIT_LONGER_MS },
          {
            link: deps.redis,
            log: deps.log,
            vault: () => vault,
            memory,
            now,
            uptime,
            onCache: observers.onCache,
            onEvicted: forget,
          },
        )
  const supply = createSupply({ mint, memory, fleet, now })
  const renew = createRenewal(supply, memory, observers.onRefresh)
  const issueByFlight = createIssuing(supply, memory, now)

  function forget(customerId: string | null): void {
    supply.evict(customerId)
    if (customerId === null) memory.forgetAll()
    else memory.forget(customerId)
    observers.onEntries(memory.count)
  }

  async function missed(request: TokenRequest, demand: Demand): Promise<Issued> {
    try {
      return await issueByFlight(request, variantOf(request), demand)
    } finally {
      observers.onEntries(memory.count)
    }
  }

  async function evict(customerId: string | null): Promise<void> {
    forget(customerId)
    observers.onCache({ tier: 'memory', op: 'evict', outcome: 'ok' })
    try {
      await fleet.evict(customerId)
    } finally {
      // Again, because a look into Redis may have been under way.
      forget(customerId)
    }
  }

  return {
    issue(request, demand) {
      const held = memory.find(request)
      if (held !== undefined) {
        const { token } = held.hit
        const at = memory.nowFor(held)
        if (meets(token, demand, at, memory.upstreamState(held, at))) {
          if (at >= refreshAfter(token)) renew(request, held, at)
          observers.onCache(MEMORY_HIT)
          return held.hit
        }
      }
      observers.onCache(MEMORY_MISS)
      return missed(request, demand)
    },

    held(request) {
      const held = memory.find(request)
      return held && memory.nowFor(held) < held.hit.token.expiresAt ? held.hit.token : undefined
    },
    evictCustomer: evict,
    evictAll: () => evict(null),
    knownWorkspace: async (customerId) =>
      memory.workspaceOf(customerId) ?? fleet.workspaceOf(customerId),
    reload(next) {
      const before = vault.names.upstream
      vault = vaultOf(next)
      if (vault.names.upstream !== before) forget(null)
    },
    close: () => fleet.close(),
  }
}

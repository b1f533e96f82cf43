import type { Log } from '../log.ts'
import type { RedisLink } from '../redis/link.ts'
import type { Urgency } from '../upstream/upstream.ts'
import { createNames, createVariants } from './cache-key.ts'
import { createLoneFleet, type Fleet } from './fleet.ts'
import { createMemoryCache, type Held } from './memory-cache.ts'
import type { BrokerObservers, CacheEvent } from './observers.ts'
import type { Vault } from './redis-cache.ts'
import { createRedisFleet } from './redis-fleet.ts'
import { createRenewal, isUpstreamAway, noteFailure } from './renewal.ts'
import { type CacheKey, createSealer, derivedKey } from './seal.ts'
import { createSupply, type Landing } from './supply.ts'
import {
  type Demand,
  meets,
  meetsWhileAway,
  refreshAfter,
  type Token,
  type TokenRequest,
} from './token.ts'

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

export type IssueSource = 'hit' | 'miss' | 'collapsed' | 'refreshed'
export type Issued = { readonly token: Token; readonly source: IssueSource }

export type Broker = {
  /** The kept token, at once when this process has it, or a new one: one flight per customer and variant. */
  issue(request: TokenRequest, demand: Demand): Issued | Promise<Issued>
  /**
   * Forgets a customer's tokens on every replica.
   * @throws BrokerError `cache_unavailable` when not every replica can be told; this one has forgotten all the same
   */
  evictCustomer(customerId: string): Promise<void>
  evictAll(): Promise<void>
  /** The workspace that this fleet's tokens for the customer belong to, if any has been minted lately. */
  knownWorkspace(customerId: string): Promise<string | null>
  reload(settings: BrokerSettings): void
  /** Gives leases back; what is in the air still lands. */
  close(): Promise<void>
}

const MEMORY_HIT: CacheEvent = { tier: 'memory', op: 'get', outcome: 'hit' }
const MEMORY_MISS: CacheEvent = { tier: 'memory', op: 'get', outcome: 'miss' }
const MEMORY_EVICT: CacheEvent = { tier: 'memory', op: 'evict', outcome: 'ok' }

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
  const variantOf = createVariants()
  const memory = createMemoryCache(settings, variantOf, now, uptime)
  let vault = vaultOf(settings)
  const fleet: Fleet =
    deps.redis === null
      ? createLoneFleet()
      : createRedisFleet(
          { longestWaitMs: settings.mintTimeLimitMs + WAIT_LONGER_MS },
          {
            link: deps.redis,
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

  async function supplied(
    request: TokenRequest,
    demand: Demand,
    passedOver: Held | undefined,
  ): Promise<Issued> {
    const variant = variantOf(request)
    const meetsDemand = (token: Token, at: number) => meets(token, demand, at, 'answering')
    for (;;) {
      const running = supply.find(request, variant)
      const flight = running ?? supply.launch(request, variant, 'caller', meetsDemand)
      let landing: Landing | null
      try {
        landing = await flight.result
      } catch (error) {
        // It yielded to callers, and this one is a caller.
        if (flight.urgency === 'background') continue
        return asLongAsItLives(request, demand, error)
      }
      observers.onEntries(memory.count)
      if (landing === null) continue
      if (landing.from !== 'mint' && running !== undefined) {
        // Whoever launched it wanted less of a token than this caller.
        if (!meets(landing.token, demand, now(), 'answering')) continue
      }
      return { token: landing.token, source: sourceOf(landing, running !== undefined) }
    }

    function sourceOf(landing: Landing, joined: boolean): IssueSource {
      if (landing.from === 'shared') return 'hit'
      if (joined || landing.from === 'other-replica') return 'collapsed'
      return passedOver === undefined && !demand.refresh ? 'miss' : 'refreshed'
    }
  }

  function asLongAsItLives(request: TokenRequest, demand: Demand, error: unknown): Issued {
    const held = memory.find(request)
    if (held === undefined || !isUpstreamAway(error)) throw error
    const at = memory.nowFor(held)
    noteFailure(held, error, at)
    if (!meetsWhileAway(held.hit.token, demand, at)) throw error
    return held.hit
  }

  function forget(customerId: string | null): void {
    supply.evict(customerId)
    if (customerId === null) memory.forgetAll()
    else memory.forget(customerId)
    observers.onCache(MEMORY_EVICT)
    observers.onEntries(memory.count)
  }

  async function evict(customerId: string | null): Promise<void> {
    forget(customerId)
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
      return supplied(request, demand, held)
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

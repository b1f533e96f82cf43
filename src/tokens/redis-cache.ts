import { z } from 'zod'
import type { Log } from '../log.ts'
import type { RedisLink } from '../redis/link.ts'
import { type CacheName, FORMAT, type Names } from './cache-key.ts'
import type { SharedToken } from './fleet.ts'
import { LEASE_MS, type Lease } from './lease.ts'
import type { CacheEvent } from './observers.ts'
import { keepScript, seedScript, seekScript } from './redis-scripts.ts'
import type { Sealer } from './seal.ts'
import { openToken, type PlacedToken, sealToken } from './sealed-token.ts'
import { keepableFor } from './token.ts'

/** Replaced together when the settings change. */
export type Vault = { readonly names: Names; readonly sealer: Sealer }

/** What Redis granted a lease on; what is stored under it must find things as they were. */
export type Grant = { readonly evictedAt: string; readonly currentStamp: string }

export type Found =
  | { readonly kind: 'value'; readonly shared: SharedToken }
  /** There is a value, and this replica cannot read it. */
  | { readonly kind: 'unreadable'; readonly stamp: string }
  | { readonly kind: 'granted'; readonly grant: Grant }
  | { readonly kind: 'busy' }

export type Kept = { readonly sealed: string; readonly keptForMs: number }

/** The fleet's tokens in Redis. Everything here fails as the link does; its users go on without it. */
export type RedisCache = {
  keyOf(name: CacheName): string
  seek(name: CacheName, lease: Lease, passedOver: string, customerIsKnown: boolean): Promise<Found>
  /** `null`: the customer was evicted meanwhile, or somebody else's mint came first. */
  keep(name: CacheName, lease: Lease, grant: Grant, placed: PlacedToken): Promise<Kept | null>
  /** Puts a token back that Redis has lost. */
  seed(name: CacheName, stamp: string, placed: PlacedToken): Promise<boolean>
  workspaceOf(customerId: string): Promise<string | null>
}

const SeekReply = z.union([
  z.tuple([z.literal('value'), z.string(), z.string(), z.number()]),
  z.tuple([z.literal('granted'), z.string(), z.string()]),
  z.tuple([z.literal('busy')]),
])

/** The workspace is worth knowing as long as a token of it lives, whichever clock is right. */
const KEEP_LONGER_MS = 60_000

export type RedisCacheDeps = {
  readonly vault: () => Vault
  readonly log: Log
  readonly now: () => number
  readonly onCache: (event: CacheEvent) => void
}

export function createRedisCache(link: RedisLink, deps: RedisCacheDeps): RedisCache {
  const { vault, log, now, onCache } = deps
  let hasWarned = false
  const count = (op: CacheEvent['op'], outcome: CacheEvent['outcome']) =>
    onCache({ tier: 'redis', op, outcome })
  const keyOf = (name: { customer: string }) => link.key(`${FORMAT}:{${name.customer}}`)
  const workspacePlace = (customer: string, upstream: string) =>
    `${FORMAT} ${customer} workspace ${upstream}`

  async function counted<T>(op: CacheEvent['op'], work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      count(op, 'error')
      throw error
    }
  }

  /** What both ways to store a token tell Redis, in the order of its scripts. */
  function stored(name: CacheName, { customerId, variant, token }: PlacedToken) {
    const { names, sealer } = vault()
    const sealed = sealToken(sealer, name, { customerId, variant, token })
    const keptForMs = keepableFor(token, now())
    const keepHashMs = Math.ceil(token.expiresAt - now()) + KEEP_LONGER_MS
    const workspace =
      token.workspaceId === null
        ? ''
        : sealer.seal(workspacePlace(name.customer, names.upstream), token.workspaceId)
    return {
      sealed,
      keptForMs,
      args: [sealed, keptForMs, keepHashMs, names.upstream, workspace] as const,
    }
  }

  return {
    keyOf,

    async seek(name, lease, passedOver, customerIsKnown) {
      const reply = await counted(
        'get',
        link.run((redis) =>
          seekScript(
            redis,
            lease.key,
            lease.variant,
            lease.owner,
            LEASE_MS,
            passedOver,
            customerIsKnown ? 1 : 0,
          ),
        ),
      )
      const found = SeekReply.parse(reply)
      if (found[0] === 'busy') return { kind: 'busy' }
      if (found[0] === 'granted') {
        count('get', 'miss')
        return { kind: 'granted', grant: { evictedAt: found[1], currentStamp: found[2] } }
      }
      const [, sealed, stamp, keptForMs] = found
      const placed = openToken(vault().sealer, name, sealed)
      count('get', placed === null ? 'undecipherable' : 'hit')
      if (placed === null) {
        // Once: while keys rotate it is common, and at any other time the count goes on telling.
        if (!hasWarned)
          log.warn(
            {},
            'a token in Redis was sealed with a key that is not among ours, or tampered with',
          )
        hasWarned = true
        return { kind: 'unreadable', stamp }
      }
      return { kind: 'value', shared: { token: placed.token, stamp, keptForMs } }
    },

    async keep(name, lease, grant, placed) {
      const { sealed, keptForMs, args } = stored(name, placed)
      if (keptForMs === 0) return null
      const { key, variant, owner } = lease
      const { evictedAt, currentStamp } = grant
      const kept = await counted(
        'set',
        link.run((redis) =>
          keepScript(redis, key, variant, owner, evictedAt, currentStamp, ...args),
        ),
      )
      count('set', kept === 1 ? 'ok' : 'refused')
      return kept === 1 ? { sealed, keptForMs } : null
    },

    async seed(name, stamp, placed) {
      const { keptForMs, args } = stored(name, placed)
      if (keptForMs === 0) return false
      const kept = await counted(
        'set',
        link.run((redis) => seedScript(redis, keyOf(name), name.variant, stamp, ...args)),
      )
      count('set', kept === 1 ? 'ok' : 'refused')
      return kept === 1
    },

    async workspaceOf(customerId) {
      const { names, sealer } = vault()
      const customer = names.customer(customerId)
      const sealed = await link.run((redis) =>
        redis.hget(keyOf({ customer }), `w:${names.upstream}`),
      )
      return sealed === null ? null : sealer.open(workspacePlace(customer, names.upstream), sealed)
    },
  }
}

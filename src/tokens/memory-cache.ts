import { LRUCache } from 'lru-cache'
import type { VariantParts, Variants } from './cache-key.ts'
import {
  keepableUntil,
  nowAtLeast,
  type Token,
  type TokenRequest,
  type UpstreamState,
} from './token.ts'

/** A token that this process has at hand. */
export type Held = VariantParts & {
  readonly variant: string
  /** Made once, so that a hit allocates nothing. */
  readonly hit: { readonly token: Token; readonly source: 'hit' }
  /** On the process's own clock, which nobody sets: a wall clock that jumps back revives no token. */
  readonly endsAtUptime: number
  /** Names the mint it came from; `null` when it was never in Redis. */
  stamp: string | null
  /** An attempt to replace it has failed, or another replica is at it. */
  trouble: { readonly retryAt: number; readonly awayUntil: number } | null
}

export type MemoryCache = {
  find(request: TokenRequest): Held | undefined
  get(customerId: string, variant: string): Held | undefined
  /** Without its counting as a use. */
  peek(customerId: string, variant: string): Held | undefined
  /** `keptForMs`: for how long Redis's clock keeps it, if it comes from there. */
  put(
    customerId: string,
    variant: string,
    token: Token,
    stamp: string | null,
    keptForMs?: number,
  ): Held
  /** The wall clock, or what it must at least be, judged by how long this token has been held. */
  nowFor(held: Held): number
  upstreamState(held: Held, now: number): UpstreamState
  /** The customer has had a token, so the upstream's get-or-create gets. */
  knows(customerId: string): boolean
  workspaceOf(customerId: string): string | null
  forget(customerId: string): void
  forgetAll(): void
  entries(): Iterable<readonly [customerId: string, held: Held]>
  readonly count: number
}

export type MemoryCacheSettings = { readonly maxEntries: number; readonly maxBytes: number }

/** A customer has a token of each kind and rarely more; who varies tags without end loses the oldest. */
const MOST_PER_CUSTOMER = 16
/** What one entry costs beside the texts in it, measured. */
const OVERHEAD_BYTES = 500
/** Finer than this a weight is not rounded. */
const GRAIN = 1024

export function createMemoryCache(
  settings: MemoryCacheSettings,
  { termsOf, partsOf }: Pick<Variants, 'termsOf' | 'partsOf'>,
  now: () => number,
  uptime: () => number,
): MemoryCache {
  let count = 0
  // The library weighs by one measure, and there are two limits: an entry weighs its share of
  // whichever of the two it uses up more of.
  const weightPerByte = (settings.maxEntries * GRAIN) / settings.maxBytes
  const bytesOf = (held: Held, customerId: string) =>
    held.hit.token.value.length + held.variant.length + customerId.length + OVERHEAD_BYTES
  const customers = new LRUCache<string, readonly Held[]>({
    max: settings.maxEntries,
    maxSize: settings.maxEntries * GRAIN,
    sizeCalculation: (all, customerId) =>
      all.reduce(
        (sum, held) => sum + Math.max(GRAIN, Math.ceil(bytesOf(held, customerId) * weightPerByte)),
        0,
      ),
    dispose: (all) => {
      count -= all.length
    },
  })

  function nowFor(held: Held): number {
    return Math.max(now(), held.hit.token.expiresAt - (held.endsAtUptime - uptime()))
  }

  function get(customerId: string, variant: string): Held | undefined {
    const all = customers.get(customerId)
    if (all === undefined) return undefined
    for (const held of all) if (held.variant === variant) return held
    return undefined
  }

  return {
    get,
    peek: (customerId, variant) =>
      customers.peek(customerId)?.find((held) => held.variant === variant),
    nowFor,
    find(request) {
      const all = customers.get(request.customerId)
      if (all === undefined) return undefined
      const terms = termsOf(request)
      const { workspaceName } = request
      for (const held of all)
        if (held.terms === terms && held.workspaceName === workspaceName) return held
      return undefined
    },

    put(customerId, variant, token, stamp, keptForMs = Number.POSITIVE_INFINITY) {
      const { terms, workspaceName } = partsOf(variant)
      const held: Held = {
        variant,
        terms,
        // Mostly the customer's id, and then the same text: there is one less to fetch for a hit.
        workspaceName: workspaceName === customerId ? customerId : workspaceName,
        hit: { token, source: 'hit' },
        endsAtUptime: uptime() + token.expiresAt - nowAtLeast(token, now(), keptForMs),
        stamp,
        trouble: null,
      }
      const others = (customers.peek(customerId) ?? []).filter(
        (other) => other.variant !== variant && nowFor(other) < keepableUntil(other.hit.token),
      )
      const all = [held, ...others.slice(0, MOST_PER_CUSTOMER - 1)]
      customers.set(customerId, all)
      if (customers.has(customerId)) count += all.length
      return held
    },

    upstreamState: (held, at) =>
      held.trouble !== null && at < held.trouble.awayUntil ? 'away' : 'answering',
    knows: (customerId) => customers.has(customerId),
    workspaceOf: (customerId) =>
      customers.peek(customerId)?.find((held) => held.hit.token.workspaceId !== null)?.hit.token
        .workspaceId ?? null,
    forget: (customerId) => {
      customers.delete(customerId)
    },
    forgetAll: () => customers.clear(),
    *entries() {
      for (const [customerId, all] of customers.entries())
        for (const held of all) yield [customerId, held] as const
    },
    get count() {
      return count
    },
  }
}

import { BrokerError } from '../errors.ts'
import type { Held, MemoryCache } from './memory-cache.ts'
import type { RefreshOutcome } from './observers.ts'
import type { Supply } from './supply.ts'
import { refreshAfter, type TokenRequest } from './token.ts'

/** The failures in which a token that still lives is better than none. */
const AWAY: ReadonlySet<string> = new Set([
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_rate_limited',
  'overloaded',
])

const RETRY_AFTER_MS = 2_000
const LONGEST_RETRY_AFTER_MS = 30_000
/** Longer than an attempt takes, so that steady callers never wait for one that is bound to fail. */
const AWAY_FOR_MS = 60_000

export function isUpstreamAway(error: unknown): boolean {
  return error instanceof BrokerError && AWAY.has(error.code)
}

/** Remembers at the token that it could not be replaced, so that not every hit tries. */
export function noteFailure(held: Held, error: unknown, now: number): void {
  const asked = error instanceof BrokerError ? (error.retryAfterMs ?? 0) : 0
  // Between one and one and a half, so that the replicas do not come back together.
  const pauseMs = Math.max(RETRY_AFTER_MS, Math.min(asked, LONGEST_RETRY_AFTER_MS))
  held.trouble = {
    retryAt: now + pauseMs * (1 + Math.random() / 2),
    awayUntil: isUpstreamAway(error) ? now + AWAY_FOR_MS : 0,
  }
}

/** Renews tokens that were asked for, before they have to be waited for. */
export function createRenewal(
  supply: Supply,
  memory: MemoryCache,
  onRefresh: (outcome: RefreshOutcome) => void,
): (request: TokenRequest, held: Held, now: number) => void {
  async function renew(request: TokenRequest, held: Held, now: number): Promise<RefreshOutcome> {
    try {
      const flight = supply.launch(
        request,
        held.variant,
        'background',
        (token, at) => at < refreshAfter(token),
      )
      const landing = await flight.result
      if (landing !== null) return landing.from === 'mint' ? 'renewed' : 'adopted'
      // Its token comes by message; this is for when the message, or the other replica, is lost.
      held.trouble = { retryAt: now + RETRY_AFTER_MS, awayUntil: held.trouble?.awayUntil ?? 0 }
      return 'elsewhere'
    } catch (error) {
      noteFailure(held, error, memory.nowFor(held))
      return 'failed'
    }
  }

  return (request, held, now) => {
    if (held.trouble !== null && now < held.trouble.retryAt) return
    if (supply.find(request, held.variant) !== undefined) return
    void renew(request, held, now).then(onRefresh)
  }
}

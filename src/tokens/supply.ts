import { BrokerError } from '../errors.ts'
import type { Urgency } from '../upstream/upstream.ts'
import type { Fleet, MintRight } from './fleet.ts'
import { createFlights, createTurns, type Flight } from './flight.ts'
import type { MemoryCache } from './memory-cache.ts'
import { nowAtLeast, type Token, type TokenRequest } from './token.ts'

/** What a flight came back with, and where it had to go for it. */
export type Landing = {
  readonly token: Token
  readonly from: 'mint' | 'shared' | 'other-replica'
}

/** A kept token, judged at the moment that counts for it. */
type Fits = (token: Token, now: number) => boolean

export type SupplyFlight = Flight<Landing | null>

export type SupplyDeps = {
  readonly mint: (request: TokenRequest, urgency: Urgency) => Promise<Token>
  readonly memory: MemoryCache
  readonly fleet: Fleet
  readonly now: () => number
}

export type Supply = {
  find(request: TokenRequest, variant: string): SupplyFlight | undefined
  /**
   * Looks where the whole fleet keeps its tokens, and mints what is not there or does not fit. In the
   * background nobody waits: it lands with nothing when another replica is minting already.
   */
  launch(request: TokenRequest, variant: string, urgency: Urgency, fits: Fits): SupplyFlight
  evict(customerId: string | null): void
}

/** Where tokens come from once this process's memory does not have them: one flight per customer and variant. */
export function createSupply(deps: SupplyDeps): Supply {
  const { memory, fleet, now } = deps
  const flights = createFlights<Landing | null>()
  const turnOf = createTurns()
  const keyOf = (customerId: string, variant: string) =>
    `${customerId.length}.${customerId}${variant}`

  /**
   * A customer's first mints go one after the other, whatever their kind: the upstream makes the
   * workspace on the first, and two at once have made two workspaces and broken the customer for good.
   */
  async function turnFor(customerId: string): Promise<() => void> {
    if (memory.knows(customerId)) return () => {}
    const end = await turnOf(customerId)
    if (!memory.knows(customerId)) return end
    end()
    return () => {}
  }

  async function obtain(
    request: TokenRequest,
    variant: string,
    fits: Fits,
    flight: SupplyFlight,
  ): Promise<Landing | null> {
    const { customerId } = request
    let passedOver = memory.get(customerId, variant)?.stamp ?? null
    for (;;) {
      const sought = await fleet.seek({
        customerId,
        variant,
        passedOver,
        customerIsKnown: memory.knows(customerId),
        patient: flight.urgency === 'caller',
      })
      if (sought.kind === 'elsewhere') return null
      if (sought.kind === 'granted') {
        const token = await mintWith(sought.right, request, flight)
        // Redis knows best whether the eviction came before this mint or after it began.
        const stamp = await sought.right.keep(token)
        if (!flight.evicted) memory.put(customerId, variant, token, stamp)
        return { token, from: 'mint' }
      }
      const { token, stamp, keptForMs } = sought.shared
      const at = nowAtLeast(token, now(), keptForMs)
      const held = memory.peek(customerId, variant)
      const isNewer = held === undefined || held.hit.token.receivedAt <= token.receivedAt
      if (isNewer && !flight.evicted) memory.put(customerId, variant, token, stamp, keptForMs)
      if (fits(token, at)) return { token, from: sought.waited ? 'other-replica' : 'shared' }
      passedOver = stamp
    }
  }

  async function mintWith(
    right: MintRight,
    request: TokenRequest,
    flight: SupplyFlight,
  ): Promise<Token> {
    try {
      const token = await deps.mint(request, flight.urgency)
      if (token.expiresAt <= now())
        throw new BrokerError('upstream_invalid', 'the token service sent a token that has ended')
      return token
    } catch (error) {
      await right.giveBack(error)
      throw error
    }
  }

  return {
    find: (request, variant) => flights.find(keyOf(request.customerId, variant)),

    launch(request, variant, urgency, fits) {
      const { customerId } = request
      return flights.launch(keyOf(customerId, variant), customerId, urgency, async (flight) => {
        const endTurn = await turnFor(customerId)
        try {
          return await obtain(request, variant, fits, flight)
        } finally {
          endTurn()
        }
      })
    },

    evict: (customerId) => flights.evict(customerId),
  }
}

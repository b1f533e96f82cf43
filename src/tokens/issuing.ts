import type { MemoryCache } from './memory-cache.ts'
import { isUpstreamAway, noteFailure } from './renewal.ts'
import type { Landing, Supply } from './supply.ts'
import {
  type Demand,
  mayBeServed,
  meets,
  meetsWhileAway,
  type Token,
  type TokenRequest,
} from './token.ts'

/** `refreshed`: one was kept that would have done, had the caller not asked for a newer one. */
export type IssueSource = 'hit' | 'miss' | 'collapsed' | 'refreshed'
export type Issued = { readonly token: Token; readonly source: IssueSource }

/** Issues what this process's memory does not have: joins the flight that is under way, or launches one. */
export function createIssuing(
  supply: Supply,
  memory: MemoryCache,
  now: () => number,
): (request: TokenRequest, variant: string, demand: Demand) => Promise<Issued> {
  function asLongAsItLives(
    request: TokenRequest,
    variant: string,
    demand: Demand,
    error: unknown,
  ): Issued {
    const held = memory.get(request.customerId, variant)
    if (held === undefined || !isUpstreamAway(error)) throw error
    const at = memory.nowFor(held)
    noteFailure(held, error, at)
    if (!meetsWhileAway(held.hit.token, demand, at)) throw error
    return held.hit
  }

  return async (request, variant, demand) => {
    const held = memory.get(request.customerId, variant)
    const isOverruled =
      held !== undefined && mayBeServed(held.hit.token, memory.nowFor(held), 'answering')
    const does = (token: Token, at: number) => meets(token, demand, at, 'answering')

    for (;;) {
      const running = supply.find(request, variant)
      const flight = running ?? supply.launch(request, variant, 'caller', does)
      let landing: Landing | null
      try {
        landing = await flight.result
      } catch (error) {
        // It yielded to callers, and this one is a caller.
        if (flight.urgency === 'background') continue
        return asLongAsItLives(request, variant, demand, error)
      }
      if (landing === null) continue
      const { token, from } = landing
      const hasJoined = running !== undefined
      // Whoever launched it may have wanted less of a token than this caller.
      if (hasJoined && from !== 'mint' && !does(token, now())) continue
      if (from === 'shared') return { token, source: 'hit' }
      if (hasJoined || from === 'other-replica') return { token, source: 'collapsed' }
      return { token, source: demand.refresh || isOverruled ? 'refreshed' : 'miss' }
    }
  }
}

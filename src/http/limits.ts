import rateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { BrokerError } from '../errors.ts'
import { rememberedBy } from '../remembered.ts'
import type { Count, Counters, Limit } from './counters.ts'

export type { Limit } from './counters.ts'

export type LimitSettings = {
  readonly perCustomer: Limit
  /** Failed authentications per address. */
  readonly authFailures: Limit
}

export type Limits = {
  /**
   * Counts one request of this customer; at once, if this process can tell.
   * @throws BrokerError `rate_limited`, `limiter_unavailable`
   */
  spend(reply: FastifyReply, customerId: string, own?: Limit): void | Promise<void>
  /** @throws BrokerError `rate_limited`, when too many authentications from this address have failed */
  admitUnknown(request: FastifyRequest): Promise<void>
  countFailure(request: FastifyRequest): Promise<void>
}

export type LimitDeps = {
  readonly customers: Counters
  readonly failures: Counters
  readonly addressKey: (ip: string) => string
  readonly onLimited: (tier: 'customer' | 'address') => void
}

type RateLimit = ReturnType<FastifyInstance['createRateLimit']>

/**
 * Two limits: a customer's requests, counted only once the caller may act for the customer, and failed
 * authentications of an address, looked at only for credentials that nobody knows yet. So neither a
 * stranger nor a neighbour behind the same address can use up what is another's.
 */
export function createLimits(
  app: FastifyInstance,
  settings: LimitSettings,
  deps: LimitDeps,
): Limits {
  let failures: RateLimit = () => Promise.reject(new Error('the rate limiter has not started'))
  app.register(async (scope) => {
    await scope.register(rateLimit, { global: false, store: storeOver(deps.failures) })
    failures = scope.createRateLimit({
      keyGenerator: ({ ip }) => deps.addressKey(ip),
      max: settings.authFailures.max,
      timeWindow: settings.authFailures.windowMs,
    })
  })

  const policyOf = rememberedBy(
    ({ max, windowMs }: Limit) => `"customer";q=${max};w=${Math.ceil(windowMs / 1000)}`,
  )

  /** draft-ietf-httpapi-ratelimit-headers-11, and a refusal once more than allowed have come. */
  function tell(reply: FastifyReply, limit: Limit, { count, resetMs }: Count): void {
    const { max } = limit
    const resetSeconds = Math.max(1, Math.ceil(resetMs / 1000))
    reply.header('ratelimit-policy', policyOf(limit))
    reply.header('ratelimit', `"customer";r=${Math.max(0, max - count)};t=${resetSeconds}`)
    if (count <= max) return
    deps.onLimited('customer')
    throw new BrokerError('rate_limited', 'this customer has used up its requests for now', {
      retryAfterMs: resetMs,
    })
  }

  return {
    spend(reply, customerId, own = settings.perCustomer) {
      const count = deps.customers.add(customerId, own)
      if (!(count instanceof Promise)) return tell(reply, own, count)
      return count.then(
        (counted) => tell(reply, own, counted),
        (cause: unknown) => {
          const message = 'the rate limit could not be checked'
          throw new BrokerError('limiter_unavailable', message, { cause })
        },
      )
    },

    async admitUnknown(request) {
      const state = await failures(request, { increment: false })
      if (state.isAllowed || state.remaining > 0) return
      deps.onLimited('address')
      throw new BrokerError('rate_limited', 'too many failed authentications from this address', {
        retryAfterMs: state.ttl,
      })
    },

    async countFailure(request) {
      await failures(request)
    },
  }
}

type Callback = Parameters<FastifyRateLimitStore['incr']>[1]

/** Our counters in the shape the plugin asks for: it makes the store itself, from a class. */
function storeOver(counters: Counters) {
  const answer = (count: Count | Promise<Count>, callback: Callback) => {
    if (!(count instanceof Promise))
      return callback(null, { current: count.count, ttl: count.resetMs })
    count.then(
      ({ count: current, resetMs: ttl }) => callback(null, { current, ttl }),
      (error: unknown) =>
        callback(error instanceof Error ? error : new Error('no count'), undefined),
    )
  }
  return class CounterStore implements FastifyRateLimitStore {
    incr(key: string, callback: Callback, windowMs: number, max: number): void {
      answer(counters.add(key, { max, windowMs }), callback)
    }
    read(key: string, callback: Callback, windowMs: number, max: number): void {
      answer(counters.read(key, { max, windowMs }), callback)
    }
    child(): FastifyRateLimitStore {
      return this
    }
  }
}

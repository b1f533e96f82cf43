import rateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { BrokerError } from '../errors.ts'
import type { Counters } from './counters.ts'

export type Limit = { readonly max: number; readonly windowMs: number }

export type LimitSettings = {
  readonly perCustomer: Limit
  /** Failed authentications per address. */
  readonly authFailures: Limit
}

export type Limits = {
  /** Counts one request of this customer. @throws BrokerError `rate_limited`, `limiter_unavailable` */
  spend(
    request: FastifyRequest,
    reply: FastifyReply,
    customerId: string,
    own?: Limit,
  ): Promise<void>
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
  const subjects = new WeakMap<FastifyRequest, { key: string; limit: Limit }>()
  const subject = (request: FastifyRequest) =>
    subjects.get(request) ?? { key: '', limit: settings.perCustomer }

  const limiter = (counters: Counters): RateLimit => {
    let check: RateLimit = () => Promise.reject(new Error('the rate limiter has not started'))
    // A scope of its own for each: the plugin keeps one store a scope.
    app.register(async (scope) => {
      await scope.register(rateLimit, { global: false, store: storeOver(counters) })
      check = scope.createRateLimit({
        keyGenerator: (request) => subject(request).key,
        max: (request) => subject(request).limit.max,
        timeWindow: (request) => subject(request).limit.windowMs,
      })
    })
    return (request, options) => check(request, options)
  }
  const customers = limiter(deps.customers)
  const failures = limiter(deps.failures)

  const failureKey = (request: FastifyRequest) => `address:${deps.addressKey(request.ip)}`

  return {
    async spend(request, reply, customerId, own = settings.perCustomer) {
      subjects.set(request, { key: `customer:${customerId}`, limit: own })
      const state = await customers(request).catch((cause: unknown) => {
        throw new BrokerError('limiter_unavailable', 'the rate limit could not be checked', {
          cause,
        })
      })
      if (state.isAllowed) return

      const resetSeconds = Math.max(1, Math.ceil(state.ttl / 1000))
      reply.header(
        'ratelimit-policy',
        `"customer";q=${own.max};w=${Math.ceil(own.windowMs / 1000)}`,
      )
      reply.header('ratelimit', `"customer";r=${state.remaining};t=${resetSeconds}`)
      if (!state.isExceeded) return
      deps.onLimited('customer')
      throw new BrokerError('rate_limited', 'this customer has used up its requests for now', {
        retryAfterMs: state.ttl,
      })
    },

    async admitUnknown(request) {
      subjects.set(request, { key: failureKey(request), limit: settings.authFailures })
      const state = await failures(request, { increment: false })
      if (state.isAllowed || state.remaining > 0) return
      deps.onLimited('address')
      throw new BrokerError('rate_limited', 'too many failed authentications from this address', {
        retryAfterMs: state.ttl,
      })
    },

    async countFailure(request) {
      subjects.set(request, { key: failureKey(request), limit: settings.authFailures })
      await failures(request)
    },
  }
}

type Callback = Parameters<FastifyRateLimitStore['incr']>[1]

/** Our counters in the shape the plugin asks for: it makes the store itself, from a class. */
function storeOver(counters: Counters) {
  const answer = (count: Promise<{ count: number; resetMs: number }>, callback: Callback) => {
    count.then(
      ({ count: current, resetMs: ttl }) => callback(null, { current, ttl }),
      (error: unknown) =>
        callback(error instanceof Error ? error : new Error('no count'), undefined),
    )
  }
  return class CounterStore implements FastifyRateLimitStore {
    incr(key: string, callback: Callback, timeWindow: number): void {
      answer(counters.add(key, timeWindow), callback)
    }
    read(key: string, callback: Callback, timeWindow: number): void {
      answer(counters.read(key, timeWindow), callback)
    }
    child(): FastifyRateLimitStore {
      return this
    }
  }
}

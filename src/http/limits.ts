import rateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { BrokerError } from '../errors.ts'
import type { Count, Counters } from './counters.ts'

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

declare module 'fastify' {
  interface FastifyRequest {
    /** What a limit is about to count for it. */
    counted: { readonly key: string; readonly limit: Limit } | null
  }
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
  app.decorateRequest('counted', null)

  const limiter = (counters: Counters, usual: Limit): RateLimit => {
    let check: RateLimit = () => Promise.reject(new Error('the rate limiter has not started'))
    // A scope of its own for each: the plugin keeps one store a scope.
    app.register(async (scope) => {
      await scope.register(rateLimit, { global: false, store: storeOver(counters) })
      const keyGenerator = (request: FastifyRequest) => request.counted?.key ?? ''
      // Apart, because the plugin waits a turn for every setting that it has to ask for.
      const checkUsual = scope.createRateLimit({
        keyGenerator,
        max: usual.max,
        timeWindow: usual.windowMs,
      })
      const checkOwn = scope.createRateLimit({
        keyGenerator,
        max: ({ counted }) => counted?.limit.max ?? 0,
        timeWindow: ({ counted }) => counted?.limit.windowMs ?? 0,
      })
      check = (request, options) =>
        (request.counted?.limit === usual ? checkUsual : checkOwn)(request, options)
    })
    return (request, options) => check(request, options)
  }
  const customers = limiter(deps.customers, settings.perCustomer)
  const failures = limiter(deps.failures, settings.authFailures)

  const countedAs = (request: FastifyRequest) => ({
    key: `address:${deps.addressKey(request.ip)}`,
    limit: settings.authFailures,
  })

  async function checkCustomer(request: FastifyRequest) {
    try {
      return await customers(request)
    } catch (cause) {
      const message = 'the rate limit could not be checked'
      throw new BrokerError('limiter_unavailable', message, { cause })
    }
  }

  return {
    async spend(request, reply, customerId, own = settings.perCustomer) {
      request.counted = { key: `customer:${customerId}`, limit: own }
      const state = await checkCustomer(request)
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
      request.counted = countedAs(request)
      const state = await failures(request, { increment: false })
      if (state.isAllowed || state.remaining > 0) return
      deps.onLimited('address')
      throw new BrokerError('rate_limited', 'too many failed authentications from this address', {
        retryAfterMs: state.ttl,
      })
    },

    async countFailure(request) {
      request.counted = countedAs(request)
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

import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Decided } from '../callers/audit.ts'
import type { Authenticate } from '../callers/caller.ts'
import { refusalReason } from '../callers/permit.ts'
import { BrokerError, type FailureCode } from '../errors.ts'
import { createRow } from '../in-a-row.ts'
import type { TokenType } from '../tokens/token.ts'
import { createAuthentication } from './caller.ts'
import type { Limits } from './limits.ts'
import { toBrokerError } from './problems.ts'

export const CustomerParams = z.strictObject({
  id: z.string().describe("The customer's id, as the SaaS product knows it"),
})

/** As the router read it: looked at by hand, because a schema takes longer over it than the router did. */
export function customerIdOf({ params }: FastifyRequest): string {
  if (typeof params === 'object' && params !== null && 'id' in params) {
    if (typeof params.id === 'string') return params.id
  }
  throw new Error('a route that names no customer asks for one')
}

/** Keeps who was given what, or refused it, and why. */
export type Audit = (
  request: FastifyRequest,
  customerId: string,
  type: TokenType | null,
  decided: Decided,
) => void

export type CustomerSettings = {
  readonly customerIdPattern: RegExp
  readonly corsIsOn: boolean
}

export type CustomerDeps = {
  readonly authenticate: Authenticate
  readonly limits: Limits
  readonly audit: Audit
}

/** The upstream keeps the organisation's own workspace under the first name; the dots would leave the path. */
const NEVER_A_CUSTOMER = new Set(['default', '.', '..'])

/** RFC 9110: a cache that ignores `no-store` must at least tell callers apart. */
const VARY = 'Origin, Authorization'

const REFUSALS: Readonly<Partial<Record<FailureCode, 'token.refused' | 'token.limited'>>> = {
  unauthenticated: 'token.refused',
  forbidden: 'token.refused',
  csrf: 'token.refused',
  origin_not_allowed: 'token.refused',
  rate_limited: 'token.limited',
}

/**
 * What every route that names a customer begins with: a well-formed id, and a caller who is known.
 * The rest (may the caller do this, is there allowance left) needs what the route asks for, and is its
 * handler's first step.
 */
export function createCustomerChecks(settings: CustomerSettings, deps: CustomerDeps) {
  const { authenticate, limits, audit } = deps

  const wellFormed = (request: FastifyRequest, reply: FastifyReply, done: (e?: Error) => void) => {
    reply.header('cache-control', 'no-store')
    reply.header('pragma', 'no-cache')
    if (settings.corsIsOn) reply.header('vary', VARY)
    const id = customerIdOf(request)
    if (!settings.customerIdPattern.test(id) || NEVER_A_CUSTOMER.has(id))
      return done(new BrokerError('invalid_customer_id', 'this is not the form of a customer id'))
    reply.logFields.customer = id
    done()
  }

  const readTogether = createRow<() => void>(setImmediate, (goOn) => goOn())

  return {
    onRequest: [
      (_request: FastifyRequest, _reply: FastifyReply, done: () => void) => readTogether.add(done),
      wellFormed,
      createAuthentication(authenticate, limits, customerIdOf),
    ],
    onError(request: FastifyRequest, reply: FastifyReply, error: Error, done: () => void) {
      const failure = toBrokerError(error)
      const { code } = failure
      const event = REFUSALS[code]
      reply.logFields.code = code
      if (event)
        audit(request, customerIdOf(request), null, {
          event,
          reason: refusalReason(failure) ?? code,
        })
      done()
    },
  }
}

export type CustomerChecks = ReturnType<typeof createCustomerChecks>

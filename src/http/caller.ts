import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Authenticate, Caller, Credentials } from '../callers/caller.ts'
import { BrokerError } from '../errors.ts'
import type { Limits } from './limits.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set once authentication has passed; `null` before. */
    caller: Caller | null
  }
}

/** The caller of a request that authentication has let through. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller) return request.caller
  throw new Error('a route asks for its caller without authenticating it')
}

const one = (value: string | string[] | undefined) =>
  Array.isArray(value) ? value.join(', ') : value

export const credentialsOf = (request: FastifyRequest, customerId: string): Credentials => {
  const { headers } = request
  return {
    authorization: headers.authorization,
    apiKey: one(headers['x-api-key']),
    cookie: headers.cookie,
    requestedWith: one(headers['x-requested-with']),
    origin: headers.origin,
    customerId,
  }
}

/** Each may wait for a key set or a backend, and nobody has said yet whose allowance it is on. */
const MOST_UNKNOWN_AT_ONCE = 1000

type Done = (error?: Error) => void

/**
 * Tells who calls. Credentials that are known to be good pass without a promise and are never held up;
 * the others pass the limit on failures first, so that a flood of wrong ones costs next to nothing.
 */
export function createAuthentication(
  authenticate: Authenticate,
  limits: Limits,
  customerIdOf: (request: FastifyRequest) => string,
) {
  let unknown = 0
  const verify = async (request: FastifyRequest, credentials: Credentials): Promise<Caller> => {
    if (unknown >= MOST_UNKNOWN_AT_ONCE)
      throw new BrokerError('overloaded', 'too many callers are being checked')
    unknown++
    try {
      await limits.admitUnknown(request)
      return await authenticate.verify(credentials)
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'unauthenticated' && error.credentialSent)
        await limits.countFailure(request)
      throw error
    } finally {
      unknown--
    }
  }
  return (request: FastifyRequest, _reply: FastifyReply, done: Done): void => {
    const credentials = credentialsOf(request, customerIdOf(request))
    const known = authenticate.recognise(credentials)
    if (known) {
      request.caller = known
      done()
      return
    }
    verify(request, credentials).then((caller) => {
      request.caller = caller
      done()
    }, done)
  }
}

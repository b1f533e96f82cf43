import type { FastifyInstance } from 'fastify'
import type { FailureCode } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** What the request's line in the log tells beyond the common fields. */
    logFields: {
      customer?: string
      code?: FailureCode
      source?: string
      trace_id?: string
      span_id?: string
    }
  }
}

/** The methods that may be a metric's label: a parser knows some thirty more. */
const KNOWN_METHODS = new Set(['GET', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PUT', 'PATCH'])

/** One measurement and one line in the log for every request, but for those of routes with a `logLevel` of their own. */
export function reportRequests(
  app: FastifyInstance,
  { httpRequestDuration }: Pick<Metrics, 'httpRequestDuration'>,
  log: Log,
  sample: number,
): void {
  const isSampled = createSampling(sample)
  app.decorateReply('logFields')
  app.addHook('onRequest', (_request, reply, done) => {
    reply.logFields = {}
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { id, method, routeOptions } = request
    const { statusCode: status, elapsedTime, logFields } = reply
    const route = routeOptions.url ?? 'unknown'
    httpRequestDuration.observe(
      { method: KNOWN_METHODS.has(method) ? method : 'other', route, status },
      elapsedTime / 1000,
    )
    const ms = Math.round(elapsedTime * 10) / 10
    const isKept = logFields.source !== 'hit' || isSampled()
    if (!routeOptions.logLevel && isKept)
      log.info({ request_id: id, method, route, status, ms, ...logFields }, 'request')
    done()
  })
}

/** Evenly, and not by chance: of a share of 0.01 every hundredth is taken. */
function createSampling(share: number): () => boolean {
  let due = 0
  return () => {
    due += share
    // What many small steps add up to is a little less than what they should.
    if (due < 1 - 1e-9) return false
    due -= 1
    return true
  }
}

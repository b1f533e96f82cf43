import type { FastifyInstance, FastifyReply } from 'fastify'
import type { FailureCode } from '../errors.ts'
import { createRow } from '../in-a-row.ts'
import type { LineLog } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import { inOnePiece, rememberedByTexts } from '../remembered.ts'

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

/** A request that has been answered, and what is told of it. */
type Answered = {
  /** Of characters that JSON has no escapes for. */
  readonly id: string
  readonly method: string
  readonly route: string
  readonly status: number
  readonly elapsedMs: number
  /** `null`: its line in the log is left out. */
  readonly fields: FastifyReply['logFields'] | null
}

/**
 * One measurement and one line in the log for every request, but for those of routes with a `logLevel` of
 * their own; made once the replies of this turn of the event loop are out, as nobody waits for it.
 */
export function reportRequests(
  app: FastifyInstance,
  { httpRequestDuration }: Pick<Metrics, 'httpRequestDuration'>,
  log: LineLog,
  sample: number,
): void {
  const isSampled = createSampling(sample)
  const kindOf = rememberedByTexts((method: string, route: string, status: string) => ({
    duration: httpRequestDuration.labels(
      KNOWN_METHODS.has(method) ? method : 'other',
      route,
      status,
    ),
    /** Of its line in the log, all that comes after what is this request's alone. */
    ending: rememberedByTexts((source: string, code: string) =>
      inOnePiece(
        `,"method":"${method}","route":${JSON.stringify(route)},"status":${status}` +
          `${source && `,"source":"${source}"`}${code && `,"code":"${code}"`},"msg":"request"`,
      ),
    ),
  }))
  const answered = createRow<Answered>(setImmediate, (each) => {
    const { id, method, route, status, elapsedMs, fields } = each
    const { duration, ending } = kindOf(method, route, String(status))
    duration.observe(elapsedMs / 1000)
    if (fields === null) return
    const { customer, source = '', code = '' } = fields
    const ms = Math.round(elapsedMs * 10) / 10
    // By hand, and of few pieces: of all that a request takes, this line was the most.
    log.line(
      `"request_id":"${id}","ms":${ms}${customerMember(customer)}${traceMembers(fields)}${ending(source, code)}`,
    )
  })

  app.decorateReply('logFields')
  app.addHook('onRequest', (_request, reply, done) => {
    reply.logFields = {}
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { id, method, routeOptions } = request
    const { statusCode: status, elapsedTime: elapsedMs, logFields } = reply
    const isTold = !routeOptions.logLevel && (logFields.source !== 'hit' || isSampled())
    answered.add({
      id,
      method,
      route: routeOptions.url ?? 'unknown',
      status,
      elapsedMs,
      fields: isTold ? logFields : null,
    })
    done()
  })
  app.addHook('onClose', (_app, done) => {
    answered.drain()
    done()
  })
}

const customerMember = (customer: string | undefined) =>
  customer === undefined ? '' : `,"customer":${JSON.stringify(customer)}`

const traceMembers = ({ trace_id, span_id }: FastifyReply['logFields']) =>
  trace_id === undefined ? '' : `,"trace_id":"${trace_id}","span_id":"${span_id}"`

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

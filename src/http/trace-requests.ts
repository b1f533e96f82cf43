import type { Span } from '@opentelemetry/api'
import type { FastifyInstance } from 'fastify'
import type { Tracing } from '../tracing.ts'

declare module 'fastify' {
  interface FastifyRequest {
    span: Span | null
  }
}

/** Each request in a span of its own, by its route; the customer's id only where that is asked for. */
export function traceRequests(
  app: FastifyInstance,
  tracing: Tracing,
  includeCustomer: boolean,
): void {
  app.decorateRequest('span', null)
  app.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown'
    tracing.received(request.headers, `${request.method} ${route}`, (span) => {
      request.span = span
      span.setAttribute('http.request.method', request.method)
      span.setAttribute('http.route', route)
      reply.logFields.trace_id = span.spanContext().traceId
      reply.logFields.span_id = span.spanContext().spanId
      done()
    })
  })
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.span) tracing.within(request.span, done)
    else done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { span } = request
    if (span) {
      span.setAttribute('http.response.status_code', reply.statusCode)
      const { customer, source, code } = reply.logFields
      if (includeCustomer && customer) span.setAttribute('token_broker.customer', customer)
      if (source) span.setAttribute('token_broker.source', source)
      if (code) span.setAttribute('error.type', code)
      span.end()
    }
    done()
  })
}

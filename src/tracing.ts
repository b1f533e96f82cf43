import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { BrokerError } from './errors.ts'

export type TracingSettings = {
  /** The base URL of the OTLP receiver; spans go to `/v1/traces` under it, as JSON over HTTP. */
  readonly endpoint: string
  readonly serviceName: string
  readonly version: string
}

export type Tracing = {
  /** Runs `work` within a span of a request that came from outside, under the caller's span if it named one. */
  received(
    headers: Readonly<Record<string, string | string[] | undefined>>,
    name: string,
    work: (span: Span) => void,
  ): void
  /** Goes on within a span that `received` has begun: what parses a body calls back from nowhere. */
  within(span: Span, work: () => void): void
  /** `work` within a span of its own. Outside a request, such as in the background, it is simply done. */
  traced<A extends unknown[], R>(name: string, work: (...args: A) => R): (...args: A) => R
  /** The headers that carry the trace on to whom we ask; none outside a request. */
  outgoing(): Record<string, string>
  /** Sends what is still held back. */
  close(): Promise<void>
}

const headersGetter: TextMapGetter<Readonly<Record<string, string | string[] | undefined>>> = {
  keys: (carrier) => Object.keys(carrier),
  get: (carrier, key) => carrier[key],
}

/**
 * Spans by OpenTelemetry, under a context of our own: its global one would be shared by all apps of a
 * process. Imported only where tracing is on, so that it costs nothing where it is off.
 */
export function createTracing(settings: TracingSettings): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': settings.serviceName,
      'service.version': settings.version,
    }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({
          url: `${settings.endpoint.replace(/\/+$/, '')}/v1/traces`,
        }),
      }),
    ],
  })
  const tracer = provider.getTracer('token-broker', settings.version)
  const propagator = new W3CTraceContextPropagator()
  const current = new AsyncLocalStorage<Context>()

  function ended(span: Span, failure: unknown): void {
    const code = failure instanceof BrokerError ? failure.code : 'internal_error'
    // The code alone: messages of causes may say more than a trace should hold.
    span.setAttribute('error.type', code)
    span.setStatus({ code: SpanStatusCode.ERROR, message: code })
    span.end()
  }

  return {
    received(headers, name, work) {
      const parent = propagator.extract(ROOT_CONTEXT, headers, headersGetter)
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER }, parent)
      current.run(trace.setSpan(parent, span), () => work(span))
    },

    within: (span, work) => current.run(trace.setSpan(ROOT_CONTEXT, span), work),

    traced:
      (name, work) =>
      (...args) => {
        const parent = current.getStore()
        if (parent === undefined) return work(...args)
        const span = tracer.startSpan(name, {}, parent)
        return current.run(trace.setSpan(parent, span), () => {
          try {
            const result = work(...args)
            if (result instanceof Promise)
              result.then(
                (value: unknown) => {
                  span.setAttributes(outcomeOf(value))
                  span.end()
                },
                (error: unknown) => ended(span, error),
              )
            else {
              span.setAttributes(outcomeOf(result))
              span.end()
            }
            return result
          } catch (error) {
            ended(span, error)
            throw error
          }
        })
      },

    outgoing() {
      const context = current.getStore()
      const headers: Record<string, string> = {}
      if (context)
        propagator.inject(context, headers, {
          set: (carrier, key, value) => {
            carrier[key] = value
          },
        })
      return headers
    },

    close: () => provider.shutdown(),
  }
}

/** Where a token came from, if that is what the work was about. */
const outcomeOf = (value: unknown): Attributes =>
  typeof value === 'object' &&
  value !== null &&
  'source' in value &&
  typeof value.source === 'string'
    ? { 'token_broker.source': value.source }
    : {}

import type { Server } from 'node:http'
import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import { BrokerError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { Metrics } from '../metrics.ts'
import { BOUNDS, type Bounds } from './bounds.ts'
import { answerInProblems, refuseUnreadable } from './problems.ts'
import { reportRequests } from './reports.ts'
import { createRequestIds } from './request-ids.ts'
import { ambiguity, answerForNode } from './strictness.ts'
import { compileValidator } from './validation.ts'

export type ServerSettings = {
  readonly trustProxy: boolean | number | readonly string[]
  /** Of the requests that were answered from memory or Redis, the share that has a line in the log; 1: all. */
  readonly logSample?: number
  /** Tests set smaller ones. */
  readonly bounds?: Partial<Bounds>
}

export type ServerDeps = {
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'httpRequestDuration'>
  readonly phase: () => Phase
}

/** `stopping`: not ready any more, still serving. `draining`: what has begun is finished, nothing else begins. */
export type Phase = 'serving' | 'stopping' | 'draining'

/** Fastify with our limits, problem documents for every failure, one log line and one measurement a request. */
export function createServer(settings: ServerSettings, deps: ServerDeps): FastifyInstance {
  const { log, metrics, phase } = deps
  const bounds = { ...BOUNDS, ...settings.bounds }
  const requestId = createRequestIds()
  const app = Fastify({
    // A logger of its own for every request costs more than the two lines that one may have: see `reportRequests`.
    logger: false,
    trustProxy: proxyTrust(settings.trustProxy),
    bodyLimit: bounds.bodyBytes,
    requestTimeout: bounds.requestTimeoutMs,
    keepAliveTimeout: bounds.keepAliveMs,
    connectionTimeout: bounds.silenceMs,
    http: {
      headersTimeout: bounds.headersTimeoutMs,
      maxHeaderSize: bounds.headerBytes,
      connectionsCheckingInterval: bounds.checkEveryMs,
      // Refused below, in our words.
      requireHostHeader: false,
      // Most have no body, and need no stream for one: see `readOnlyJson` for those that say they have.
      optimizeEmptyRequests: true,
    },
    // Too long an id is to be told so, and not "no such path".
    routerOptions: { maxParamLength: bounds.urlCharacters },
    exposeHeadRoutes: false,
    // Ours are set below; the framework's own need not be loaded.
    schemaController: { compilersFactory: { buildValidator: unused, buildSerializer: unused } },
    return503OnClosing: false,
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    clientErrorHandler: refuseUnreadable,
    frameworkErrors: (error, request, reply) => {
      app.errorHandler(error, request, reply)
    },
  })

  app.setValidatorCompiler(compileValidator)
  // Replies are built from our own types; a test holds them against the document. Checking each again costs more than making it.
  app.setSerializerCompiler(() => (body) => JSON.stringify(body))
  readOnlyJson(app)
  answerForNode(app)
  boundConnections(app.server, bounds, log)

  app.decorateRequest('caller', null)
  reportRequests(app, metrics, log, settings.logSample ?? 1)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    reply.header('x-content-type-options', 'nosniff')
    if (request.url.length > bounds.urlCharacters)
      return done(
        new BrokerError('uri_too_long', `the URL may have ${bounds.urlCharacters} characters`),
      )
    if (request.raw.rawHeaders.length / 2 > bounds.headers)
      return done(
        new BrokerError('headers_too_large', `there may be ${bounds.headers} headers at most`),
      )
    const ambiguous = ambiguity(request.raw)
    if (ambiguous) return done(ambiguous)
    if (phase() !== 'serving') {
      // The next request of this connection goes to a replica that stays.
      reply.header('connection', 'close')
      if (phase() === 'draining')
        return done(new BrokerError('draining', 'this replica is stopping'))
    }
    done()
  })
  answerInProblems(app, log)
  return app
}

const unused = () => {
  throw new Error('the compilers of this server have been set')
}

/** A number is how many proxies stand before us, counted from our side. */
const proxyTrust = (trust: ServerSettings['trustProxy']) => {
  if (typeof trust === 'number') return (_address: string, hop: number) => hop < trust
  return typeof trust === 'boolean' ? trust : [...trust]
}

/** JSON bodies alone; an empty one counts as none, because a POST without fields needs no body. */
function readOnlyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (typeof body === 'string' && body.trim() === '') return done(null, undefined)
    return parse(request, typeof body === 'string' ? body : body.toString(), done)
  })
  // A request of no length has no body, whatever type it gives it, and its stream never says that it has ended.
  app.addHook('preParsing', (_request, _reply, payload, done) => {
    done(null, 'readableEnded' in payload && payload.readableEnded ? Readable.from([]) : payload)
  })
}

const TOLD_EVERY_MS = 60_000

/** Past the bound a connection is closed as soon as it is opened: whoever is in is served. */
function boundConnections(server: Server, bounds: Bounds, log: Logger): void {
  server.maxConnections = bounds.connections
  // One more than we take: past its own bound Node drops headers without a word.
  server.maxHeadersCount = bounds.headers + 1
  let toldAt = Number.NEGATIVE_INFINITY
  server.on('drop', () => {
    if (performance.now() - toldAt < TOLD_EVERY_MS) return
    toldAt = performance.now()
    log.warn({ connections: bounds.connections }, 'too many connections: new ones are closed')
  })
}

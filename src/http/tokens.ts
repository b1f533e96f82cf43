import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Permission, PermitPart } from '../callers/permit.ts'
import { FAILURES } from '../errors.ts'
import type { Metrics, TokenOutcome } from '../metrics.ts'
import { rememberedByTexts } from '../remembered.ts'
import type { Broker, Issued } from '../tokens/broker.ts'
import { tokenRequest } from '../tokens/request.ts'
import { TOKEN_TYPES, type TokenType } from '../tokens/token.ts'
import { callerOf } from './caller.ts'
import { type Audit, type CustomerChecks, CustomerParams, customerIdOf } from './customers.ts'
import type { Limits } from './limits.ts'
import { toBrokerError } from './problems.ts'
import { createReadyReplies } from './ready-replies.ts'
import { createTokenBodies } from './token-body.ts'
import {
  problems,
  SECURITY,
  type TokenAsk,
  TokenBody,
  TokenQuery,
  TokenReply,
} from './token-schemas.ts'

export type TokenRouteDeps = {
  readonly permit: PermitPart['permit']
  readonly limits: Limits
  readonly broker: Pick<Broker, 'issue'>
  readonly audit: Audit
  readonly metrics: Pick<Metrics, 'tokenRequests'>
  readonly now: () => number
}

/** RFC 9211. Where the token of a reply came from. */
const CACHE_STATUS = {
  hit: 'token-broker; hit',
  miss: 'token-broker; fwd=miss; stored',
  collapsed: 'token-broker; fwd=miss; collapsed',
  refreshed: 'token-broker; fwd=request; stored',
} as const satisfies Record<Issued['source'], string>

/** Queries that need no checking: most have none. */
const PLAIN_QUERIES: ReadonlyMap<string, TokenAsk> = new Map<string, TokenAsk>([
  ['', {}],
  ...TOKEN_TYPES.map((type) => [`?type=${type}`, { type }] as const),
])

const queryOf = (url: string) => {
  const start = url.indexOf('?')
  return start < 0 ? '' : url.slice(start)
}

/** `/customers/{id}/token`: may the caller have this, is there allowance left, the token, the reply. */
export function serveTokens(
  app: FastifyInstance,
  checks: CustomerChecks,
  defaultType: TokenType,
  deps: TokenRouteDeps,
): void {
  const { permit, limits, broker, audit, now } = deps
  const requests = rememberedByTexts((type: TokenType, outcome: TokenOutcome) =>
    deps.metrics.tokenRequests.tally(type, outcome),
  )
  const tokenBody = createTokenBodies(now)
  const sendReady = createReadyReplies(app.server.keepAliveTimeout)

  /** May the caller have this, is there allowance left, and the token: at once, if all of it is at hand. */
  function issue(
    request: FastifyRequest,
    reply: FastifyReply,
    ask: TokenAsk,
  ): Issued | Promise<Issued> {
    const customerId = customerIdOf(request)
    const asked = {
      customerId,
      type: ask.type ?? defaultType,
      allowedOrigin: ask.allowed_origin,
      pageOrigin: request.headers.origin,
      sourceTags: ask.source_template_tags,
      sourceTagsMode: ask.source_template_tags_mode,
      connectionTags: ask.connection_template_tags,
      connectionTagsMode: ask.connection_template_tags_mode,
    }
    const demand = { minTtlMs: (ask.min_ttl ?? 0) * 1000, refresh: ask.refresh ?? false }

    function proceed({ settings, limit, tagsAreRequired }: Permission) {
      const spent = limits.spend(reply, customerId, limit)
      const obtain = () => broker.issue(tokenRequest(settings, asked, tagsAreRequired), demand)
      return spent === undefined ? obtain() : spent.then(obtain)
    }
    const permitted = permit(callerOf(request), { route: 'issue', asked })
    return permitted instanceof Promise ? permitted.then(proceed) : proceed(permitted)
  }

  /** Sends the reply, and has kept what is kept of it. */
  function send(
    request: FastifyRequest,
    reply: FastifyReply,
    ask: TokenAsk,
    { token, source }: Issued,
  ): void {
    const customerId = customerIdOf(request)
    const type = ask.type ?? defaultType
    requests(type, source).add()
    audit(request, customerId, type, { event: 'token.issued', source, token })
    reply.logFields.source = source
    reply.header('cache-status', CACHE_STATUS[source])
    sendReady(reply, tokenBody(token, customerId))
  }

  async function answer(request: FastifyRequest, reply: FastifyReply, ask: TokenAsk) {
    send(request, reply, ask, await issue(request, reply, ask))
    return reply
  }

  /** Answers before the framework looks any further, where there is nothing more in the request to look at. */
  const answerAtOnce: onRequestHookHandler = (request, reply, done) => {
    const ask = PLAIN_QUERIES.get(queryOf(request.url))
    if (ask === undefined) return done()
    const found = (issued: Issued) => send(request, reply, ask, issued)
    const fail = (error: unknown) => done(asError(error))
    try {
      const issued = issue(request, reply, ask)
      if (issued instanceof Promise) issued.then(found).catch(fail)
      else found(issued)
    } catch (error) {
      fail(error)
    }
  }

  const routes = app.withTypeProvider<ZodTypeProvider>()
  const common = {
    url: '/customers/:id/token',
    onError: [
      checks.onError,
      (request: FastifyRequest, _reply: FastifyReply, error: Error, done: () => void) => {
        requests(typeAsked(request) ?? defaultType, outcomeOf(error)).add()
        done()
      },
    ],
  }
  const documented = {
    tags: ['tokens'],
    security: SECURITY,
    params: CustomerParams,
  }
  const failures = problems(400, 401, 403, 404, 405, 408, 414, 422, 429, 431, 500, 502, 503, 504)

  routes.route({
    ...common,
    onRequest: [...checks.onRequest, answerAtOnce],
    method: 'GET',
    schema: {
      ...documented,
      operationId: 'getToken',
      summary: 'A token for a customer, kept or new',
      querystring: TokenQuery,
      response: { 200: TokenReply.describe('A token that lives'), ...failures },
    },
    handler: (request, reply) => answer(request, reply, request.query),
  })

  routes.route({
    ...common,
    onRequest: checks.onRequest,
    method: 'POST',
    schema: {
      ...documented,
      operationId: 'requestToken',
      summary: 'A token for a customer, with what only some callers may ask for',
      body: TokenBody.nullish(),
      response: {
        200: TokenReply.describe('A token that lives'),
        ...failures,
        ...problems(413, 415),
      },
    },
    handler: (request, reply) => answer(request, reply, request.body ?? {}),
  })
}

const asError = (thrown: unknown) =>
  thrown instanceof Error ? thrown : new Error('no error was thrown')

const TypeNamed = z.object({ type: z.enum(TOKEN_TYPES) })

const typeAsked = ({ body, query }: FastifyRequest): TokenType | undefined =>
  TypeNamed.safeParse(body).data?.type ?? TypeNamed.safeParse(query).data?.type

/** What a caller did wrong is `denied`; what we or the upstream could not do is `failed`. */
function outcomeOf(error: Error): TokenOutcome {
  const { code } = toBrokerError(error)
  if (code === 'rate_limited') return 'limited'
  return FAILURES[code][0] < 500 ? 'denied' : 'failed'
}

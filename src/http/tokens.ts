import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { PermitPart } from '../callers/permit.ts'
import { FAILURES } from '../errors.ts'
import { createIsoTime } from '../iso-time.ts'
import type { Metrics, TokenOutcome } from '../metrics.ts'
import type { Broker, Issued } from '../tokens/broker.ts'
import { tokenRequest } from '../tokens/request.ts'
import { refreshAfter, TOKEN_TYPES, type TokenType } from '../tokens/token.ts'
import { callerOf } from './caller.ts'
import { type Audit, type CustomerChecks, CustomerParams } from './customers.ts'
import type { Limits } from './limits.ts'
import { toBrokerError } from './problems.ts'
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

type Customer = { Params: z.output<typeof CustomerParams> }

/** `/customers/{id}/token`: may the caller have this, is there allowance left, the token, the reply. */
export function serveTokens(
  app: FastifyInstance,
  checks: CustomerChecks,
  defaultType: TokenType,
  deps: TokenRouteDeps,
): void {
  const { permit, limits, broker, audit, metrics, now } = deps
  const isoTime = createIsoTime()

  const issue = async (request: FastifyRequest<Customer>, reply: FastifyReply, ask: TokenAsk) => {
    const customerId = request.params.id
    const type = ask.type ?? defaultType
    const asked = {
      customerId,
      type,
      allowedOrigin: ask.allowed_origin,
      pageOrigin: request.headers.origin,
      sourceTags: ask.source_template_tags,
      sourceTagsMode: ask.source_template_tags_mode,
      connectionTags: ask.connection_template_tags,
      connectionTagsMode: ask.connection_template_tags_mode,
    }
    const permitted = permit(callerOf(request), { route: 'issue', asked })
    const permission = permitted instanceof Promise ? await permitted : permitted
    await limits.spend(request, reply, customerId, permission.limit)
    const wanted = tokenRequest(permission.settings, asked, permission.tagsAreRequired)
    const issued = broker.issue(wanted, {
      minTtlMs: (ask.min_ttl ?? 0) * 1000,
      refresh: ask.refresh ?? false,
    })
    const { token, source } = issued instanceof Promise ? await issued : issued

    metrics.tokenRequests.labels(type, source).inc()
    audit(request, customerId, type, { event: 'token.issued', source, token })
    reply.logFields.source = source
    reply.header('cache-status', CACHE_STATUS[source])
    return {
      token: token.value,
      type,
      customer_id: customerId,
      workspace_id: token.workspaceId,
      expires_at: isoTime.seconds(token.expiresAt),
      expires_in: Math.max(0, Math.floor((token.expiresAt - now()) / 1000)),
      refresh_after: isoTime.seconds(refreshAfter(token)),
    } satisfies TokenReply
  }

  const routes = app.withTypeProvider<ZodTypeProvider>()
  const common = {
    url: '/customers/:id/token',
    onRequest: checks.onRequest,
    onError: [
      checks.onError,
      (request: FastifyRequest, _reply: FastifyReply, error: Error, done: () => void) => {
        metrics.tokenRequests.labels(typeAsked(request) ?? defaultType, outcomeOf(error)).inc()
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
    method: 'GET',
    schema: {
      ...documented,
      operationId: 'getToken',
      summary: 'A token for a customer, kept or new',
      querystring: TokenQuery,
      response: { 200: TokenReply.describe('A token that lives'), ...failures },
    },
    handler: (request, reply) => issue(request, reply, request.query),
  })

  routes.route({
    ...common,
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
    handler: (request, reply) => issue(request, reply, request.body ?? {}),
  })
}

const TypeNamed = z.object({ type: z.enum(TOKEN_TYPES) })

const typeAsked = ({ body, query }: FastifyRequest): TokenType | undefined =>
  TypeNamed.safeParse(body).data?.type ?? TypeNamed.safeParse(query).data?.type

/** What a caller did wrong is `denied`; what we or the upstream could not do is `failed`. */
function outcomeOf(error: Error): TokenOutcome {
  const { code } = toBrokerError(error)
  if (code === 'rate_limited') return 'limited'
  return FAILURES[code][0] < 500 ? 'denied' : 'failed'
}

import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { PermitPart } from '../callers/permit.ts'
import { createIsoTime } from '../iso-time.ts'
import type { Broker } from '../tokens/broker.ts'
import type { Introspect } from '../tokens/introspect.ts'
import { callerOf } from './caller.ts'
import { type Audit, type CustomerChecks, CustomerParams } from './customers.ts'
import type { Limits } from './limits.ts'
import {
  IntrospectionBody,
  IntrospectionReply,
  NoContent,
  problems,
  SECURITY,
} from './token-schemas.ts'

export type UpkeepDeps = {
  readonly permit: PermitPart['permit']
  readonly limits: Limits
  readonly broker: Pick<Broker, 'evictCustomer'>
  readonly introspect: Introspect
  readonly audit: Audit
}

/** What service callers do with a customer's tokens besides getting them: forget them, and ask about one. */
export function serveUpkeep(app: FastifyInstance, checks: CustomerChecks, deps: UpkeepDeps): void {
  const { permit, limits, broker, introspect, audit } = deps
  const isoTime = createIsoTime()
  const routes = app.withTypeProvider<ZodTypeProvider>()

  routes.route({
    ...checks,
    method: 'DELETE',
    url: '/customers/:id/token',
    schema: {
      tags: ['tokens'],
      operationId: 'evictTokens',
      summary: "Forget this customer's cached tokens on every replica (service callers)",
      security: SECURITY,
      params: CustomerParams,
      response: {
        204: NoContent.describe('Forgotten, or there were none'),
        ...problems(400, 401, 403, 404, 405, 408, 414, 429, 431, 500, 503),
      },
    },
    // Not counted against the customer's limit: whoever hammers must not be able to hold up an eviction.
    handler: async (request, reply) => {
      const { id: customerId } = request.params
      await permit(callerOf(request), { route: 'evict', customerId })
      await broker.evictCustomer(customerId)
      audit(request, customerId, null, { event: 'token.evicted' })
      reply.code(204)
    },
  })

  routes.route({
    ...checks,
    method: 'POST',
    url: '/customers/:id/token/introspect',
    schema: {
      tags: ['tokens'],
      operationId: 'introspectToken',
      summary: "Whether a token is a live one of this customer's (service callers)",
      security: SECURITY,
      params: CustomerParams,
      body: IntrospectionBody,
      response: {
        200: IntrospectionReply.describe(
          'RFC 7662 in spirit: a token that is not active is told nothing about',
        ),
        ...problems(400, 401, 403, 404, 405, 408, 413, 414, 415, 429, 431, 500, 502, 503, 504),
      },
    },
    handler: async (request, reply) => {
      const { id: customerId } = request.params
      const permission = await permit(callerOf(request), { route: 'introspect', customerId })
      await limits.spend(reply, customerId, permission.limit)
      const found = await introspect(permission.settings, customerId, request.body.token)
      audit(request, customerId, found?.type ?? null, {
        event: 'token.introspected',
        active: found !== null,
        value: request.body.token,
      })
      if (!found) return { active: false as const }
      return {
        active: true as const,
        workspace_id: found.workspaceId,
        expires_at: found.expiresAt === null ? null : isoTime.seconds(found.expiresAt),
        type: found.type,
      }
    },
  })
}

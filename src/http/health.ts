import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Metrics } from '../metrics.ts'
import type { OrgTokenStatus } from '../upstream/upstream.ts'

const Check = z.object({
  status: z.enum(['ok', 'starting', 'failing', 'away', 'off']),
  detail: z.string().optional(),
  expires_at: z.iso.datetime().nullable().optional(),
})

const Health = z
  .object({
    status: z.enum(['ok', 'degraded', 'unavailable']),
    checks: z.object({ process: Check, org_token: Check, redis: Check }),
  })
  .meta({ id: 'Health' })

export type HealthDeps = {
  readonly version: string
  readonly metrics: Metrics
  readonly orgToken: () => OrgTokenStatus
  /** `null`: none is configured. */
  readonly redisUp: () => boolean | null
  readonly isStopping: () => boolean
}

/** For probes and operators; on a port of their own where `OPS_PORT` says so. */
export function serveHealth(app: FastifyInstance, deps: HealthDeps): void {
  const { version, metrics, orgToken, redisUp, isStopping } = deps
  const startedAt = new Date().toISOString()
  const routes = app.withTypeProvider<ZodTypeProvider>()

  const health = (): z.infer<typeof Health> => {
    const { state, expiresAt, detail } = orgToken()
    const redis = redisUp()
    const available = state === 'ok' && !isStopping()
    return {
      status: !available ? 'unavailable' : redis === false ? 'degraded' : 'ok',
      checks: {
        process: isStopping() ? { status: 'failing', detail: 'stopping' } : { status: 'ok' },
        org_token: {
          status: state,
          ...(detail !== null && { detail }),
          expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
        },
        redis: { status: redis === null ? 'off' : redis ? 'ok' : 'away' },
      },
    }
  }

  const replies = {
    200: Health.describe('Tokens can be issued; `degraded` while Redis is away'),
    503: Health.describe('Starting, stopping, or no org token can be had'),
  }
  for (const url of ['/health', '/health/ready']) {
    routes.route({
      method: ['GET', 'HEAD'],
      url,
      logLevel: 'warn',
      schema: {
        tags: ['operations'],
        summary: url === '/health' ? 'State and checks' : 'Whether requests should be sent here',
        response: replies,
      },
      handler: (_request, reply) => {
        const state = health()
        reply.header('cache-control', 'no-store')
        reply.code(state.status === 'unavailable' ? 503 : 200).send(state)
      },
    })
  }

  routes.route({
    method: ['GET', 'HEAD'],
    url: '/health/live',
    logLevel: 'warn',
    schema: {
      tags: ['operations'],
      summary: 'Whether the process turns; asks neither Redis nor the upstream',
      response: { 200: z.object({ status: z.literal('ok') }) },
    },
    handler: (_request, reply) => {
      reply.header('cache-control', 'no-store').send({ status: 'ok' })
    },
  })

  routes.route({
    method: ['GET', 'HEAD'],
    url: '/version',
    logLevel: 'warn',
    schema: {
      tags: ['operations'],
      summary: 'What runs here, and since when',
      response: {
        200: z.object({ version: z.string(), node: z.string(), started_at: z.iso.datetime() }),
      },
    },
    handler: (_request, reply) => {
      reply.header('cache-control', 'no-store')
      reply.send({ version, node: process.version, started_at: startedAt })
    },
  })

  routes.route({
    method: ['GET', 'HEAD'],
    url: '/metrics',
    logLevel: 'warn',
    schema: {
      tags: ['operations'],
      summary: 'Prometheus text',
      response: {
        200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } },
      },
    },
    handler: async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  })
}

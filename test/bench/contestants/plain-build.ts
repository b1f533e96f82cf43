import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { z } from 'zod'

/**
 * The same packages, put together as their readmes show: the limit's own Redis store, and a GET per request
 * for the token. No log, no metrics, nobody is asked who they are.
 */
const redis = new Redis(process.env.REDIS_URL ?? '', { enableAutoPipelining: true })
const app = Fastify()
await app.register(rateLimit, {
  max: 1_000_000_000,
  timeWindow: 15 * 60_000,
  redis,
  keyGenerator: (request) => z.object({ id: z.string() }).parse(request.params).id,
})

app.get<{ Params: { id: string } }>('/customers/:id/token', async (request, reply) => {
  const key = `plain:${request.params.id}`
  const cached = await redis.get(key)
  reply.header('content-type', 'application/json')
  if (cached) return cached

  const minted = await fetch(`${process.env.AIRBYTE_API_URL}/api/v1/embedded/scoped-token`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${process.env.AIRBYTE_ACCESS_TOKEN}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ workspace_name: request.params.id }),
  })
  const { token } = z.object({ token: z.string() }).parse(await minted.json())
  const body = JSON.stringify({ token, expires_at: new Date(Date.now() + 900_000).toISOString() })
  await redis.set(key, body, 'PX', 900_000)
  return body
})

await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })

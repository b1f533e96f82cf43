import express from 'express'
import { rateLimit } from 'express-rate-limit'
import { z } from 'zod'

/**
 * What the upstream's guide shows, on our path: a limit and a Map. No log, no metrics, nobody is asked who
 * they are, and every replica has its own limit and tokens.
 */
const app = express()
app.use(express.json())
app.use(
  '/customers/:id/token',
  rateLimit({
    windowMs: 15 * 60_000,
    limit: 1_000_000_000,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    keyGenerator: (request) => String(request.params.id),
  }),
)

const cache = new Map<string, { token: string; expiresAt: number }>()

app.get('/customers/:id/token', async (request, response) => {
  const customerId = request.params.id
  const cached = cache.get(customerId)
  if (cached && cached.expiresAt > Date.now()) {
    response.json({ token: cached.token, expires_at: new Date(cached.expiresAt).toISOString() })
    return
  }
  const reply = await fetch(`${process.env.AIRBYTE_API_URL}/api/v1/embedded/scoped-token`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${process.env.AIRBYTE_ACCESS_TOKEN}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ workspace_name: customerId }),
  })
  const { token } = z.object({ token: z.string() }).parse(await reply.json())
  const expiresAt = Date.now() + 15 * 60_000
  cache.set(customerId, { token, expiresAt })
  response.json({ token, expires_at: new Date(expiresAt).toISOString() })
})

app.listen(Number(process.env.PORT), '127.0.0.1')

import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { BrokerError } from '../errors.ts'
import type { Holders } from '../tokens/holders.ts'
import type { Stops } from '../tokens/stops.ts'
import { TOKEN_TYPES, type TokenType } from '../tokens/token.ts'

/** Who is supposed to ask, for an explanation: a service by its key's name, or a user with these customers. */
const SupposedCaller = z.union([
  z.strictObject({ service: z.string().min(1) }),
  z.strictObject({ customer_ids: z.array(z.string()) }),
])

const ExplainBody = z.strictObject({
  caller: SupposedCaller,
  customer_id: z.string(),
  type: z.enum(TOKEN_TYPES, 'is neither scoped nor widget').optional(),
  allowed_origin: z.string().optional(),
})

export type Supposed = {
  readonly caller: z.output<typeof SupposedCaller>
  readonly customerId: string
  readonly type: TokenType | undefined
  readonly allowedOrigin: string | undefined
}

/** One customer, or all of them, said out loud. */
const Whom = z.union([
  z.strictObject({ customer_id: z.string().min(1) }),
  z.strictObject({ all: z.literal(true) }),
])

const customerOf = (whom: z.output<typeof Whom>) => ('all' in whom ? null : whom.customer_id)

export type AdminDeps = {
  /** SHA-256 of the admin token in force. */
  readonly tokenDigest: () => Buffer
  readonly holders: Holders
  readonly stops: Stops
  /** `null`: everybody. @throws BrokerError `cache_unavailable` */
  readonly evict: (customerId: string | null) => Promise<void>
  readonly explain: (supposed: Supposed) => Promise<Record<string, unknown>>
  readonly settings: () => readonly object[]
}

const BEARER = /^Bearer ([\x21-\x7e]+)$/i

/** What an operator may do to a running fleet. On the port for operations alone, and behind a token of its own. */
export async function serveAdmin(app: FastifyInstance, deps: AdminDeps): Promise<void> {
  const { tokenDigest, holders, stops, evict, explain, settings } = deps

  const authenticate = (request: FastifyRequest, _reply: unknown, done: (e?: Error) => void) => {
    const token = BEARER.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const digest = createHash('sha256').update(token).digest()
    if (timingSafeEqual(digest, tokenDigest())) return done()
    const credentialSent = token !== ''
    done(new BrokerError('unauthenticated', 'the admin token is needed', { credentialSent }))
  }
  const reached = async (work: Promise<void>) => {
    await work.catch((cause: unknown) => {
      if (cause instanceof BrokerError) throw cause
      throw new BrokerError('cache_unavailable', 'not every replica could be told', { cause })
    })
  }

  const routes = app.withTypeProvider<ZodTypeProvider>()
  routes.addHook('onRequest', authenticate)
  routes.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })

  routes.post('/admin/evict', { schema: { body: Whom } }, async (request, reply) => {
    await reached(evict(customerOf(request.body)))
    reply.code(204)
  })
  routes.post('/admin/stop', { schema: { body: Whom } }, async (request, reply) => {
    const customerId = customerOf(request.body)
    await reached(stops.add(customerId))
    // What pages hold lives until its end; what is kept here is not handed out again, also after the stop.
    await reached(evict(customerId))
    reply.code(204)
  })
  routes.post('/admin/resume', { schema: { body: Whom } }, async (request, reply) => {
    await reached(stops.lift(customerOf(request.body)))
    reply.code(204)
  })
  routes.get('/admin/stops', async () => ({
    stops: stops.list().map(({ customerId, all, since }) => ({
      ...(all ? { all } : { customer_id: customerId }),
      since: new Date(since).toISOString(),
    })),
  }))
  routes.post(
    '/admin/holders',
    { schema: { body: z.strictObject({ customer_id: z.string().min(1) }) } },
    async (request) => ({
      holders: (await holders.of(request.body.customer_id)).map((holder) => ({
        type: holder.type,
        caller: holder.caller,
        expires_at: new Date(holder.expiresAt).toISOString(),
        token_fingerprint: holder.fingerprint,
      })),
    }),
  )
  routes.post('/admin/explain', { schema: { body: ExplainBody } }, (request) => {
    const { caller, customer_id: customerId, type, allowed_origin: allowedOrigin } = request.body
    return explain({ caller, customerId, type, allowedOrigin })
  })
  routes.get('/admin/config', async () => ({ settings: settings() }))
}

import { z } from 'zod'
import { TOKEN_TYPES } from '../tokens/token.ts'
import { Problem } from './problems.ts'

const type = z.enum(TOKEN_TYPES, 'is neither scoped nor widget')
const MOST_MIN_TTL_SECONDS = 86_400
const allowedOrigin = z
  .string()
  .max(512, 'is too long')
  .describe("Widget tokens: the page's origin, one of WIDGET_ALLOWED_ORIGINS")
const minTtlNote = 'Seconds that the token must still live'
const tags = z.array(z.string().min(1).max(256)).max(100)
const mode = z.enum(['any', 'all'], 'is neither any nor all')

export const TokenQuery = z.strictObject({
  type: type.optional(),
  allowed_origin: allowedOrigin.optional(),
  min_ttl: z
    .string()
    .regex(/^\d{1,5}$/, `is not a whole number from 0 to ${MOST_MIN_TTL_SECONDS}`)
    .transform(Number)
    .pipe(z.number().max(MOST_MIN_TTL_SECONDS, `is more than ${MOST_MIN_TTL_SECONDS}`))
    .optional()
    .describe(minTtlNote),
})

export const TokenBody = z
  .strictObject({
    type: type.optional(),
    allowed_origin: allowedOrigin.optional(),
    min_ttl: z.int().min(0).max(MOST_MIN_TTL_SECONDS).optional().describe(minTtlNote),
    refresh: z
      .boolean()
      .optional()
      .describe('Mint anew although a token is cached: for one that the API has just refused'),
    source_template_tags: tags.optional().describe('Service callers only'),
    source_template_tags_mode: mode.optional().describe('Service callers only'),
    connection_template_tags: tags.optional().describe('Service callers only'),
    connection_template_tags_mode: mode.optional().describe('Service callers only'),
  })
  .meta({ id: 'TokenRequest' })

export type TokenAsk = z.output<typeof TokenBody>

export const TokenReply = z
  .object({
    token: z.string().describe('Pass it on byte for byte'),
    type: z.enum(TOKEN_TYPES),
    customer_id: z.string(),
    workspace_id: z.string().nullable(),
    expires_at: z.iso.datetime(),
    expires_in: z.int().min(0).describe('Whole seconds left when this reply was made'),
    refresh_after: z.iso.datetime().describe('From when on a newer token is to be had'),
  })
  .meta({ id: 'Token' })

export type TokenReply = z.infer<typeof TokenReply>

export const IntrospectionBody = z
  .strictObject({ token: z.string().min(1).max(16_000) })
  .meta({ id: 'IntrospectionRequest' })

export const IntrospectionReply = z
  .union([
    z.object({
      active: z.literal(true),
      workspace_id: z.string().nullable(),
      expires_at: z.iso.datetime().nullable(),
      type: z.enum(TOKEN_TYPES),
    }),
    z.strictObject({ active: z.literal(false) }),
  ])
  .meta({ id: 'Introspection' })

export const NoContent = z.undefined()

/** Any one of them; which are accepted is the configuration's choice. */
export const SECURITY = [{ bearer: [] }, { apiKey: [] }, { session: [] }]

const PROBLEM_NOTES: Readonly<Record<number, string>> = {
  400: 'The request or the customer id is not well formed',
  401: 'No valid credential',
  403: 'The caller may not act for this customer or ask for this',
  404: 'No such path',
  405: 'The path knows other methods',
  408: 'The request did not arrive in time',
  413: 'The body is larger than 16 KiB',
  414: 'The URL is too long',
  415: 'The body is not JSON',
  422: "The upstream needs the page's origin",
  429: 'A limit is used up',
  431: 'The headers are too large',
  500: 'A fault of ours',
  502: 'The upstream refused us or sent an unusable answer',
  503: 'Upstream, limiter, cache or caller check is out of reach, or we are overloaded or stopping',
  504: 'The upstream did not answer in time',
}

/** Documents the failures of a route, all of them problem documents. */
export const problems = (...statuses: number[]) =>
  Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: PROBLEM_NOTES[status] ?? 'Failure',
        content: { 'application/problem+json': { schema: Problem } },
      },
    ]),
  )

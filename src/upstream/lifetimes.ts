import { z } from 'zod'

const LONGEST_LIFE_MS = 400 * 24 * 3_600_000

/** Less than this is not worth handing out; a retry would most likely bring the same. */
export const SHORTEST_LIFE_MS = 2_000

/** Lifetimes assumed when nothing tells: the shortest that have been seen. */
export const ASSUMED_LIFE_MS = { org: 180_000, minted: 300_000 } as const

const numeric = z.union([
  z.number(),
  z
    .string()
    .regex(/^\d+(\.\d+)?$/)
    .transform(Number),
])

/** The fields of a reply that speak of an end. What cannot be read counts as not said. */
export const LifetimeFields = z.looseObject({
  expires_in: numeric.pipe(z.number().nonnegative()).optional().catch(undefined),
  expires_at: z.union([numeric, z.string()]).optional().catch(undefined),
})

export type Said = {
  readonly receivedAt: number
  readonly fields: z.infer<typeof LifetimeFields>
  /** From the JWT, in epoch ms. */
  readonly jwtExpiresAt: number | null
}

/** The earliest end that anything tells of, since announced lifetimes have been wrong; `null`: nothing does. */
export function earliestEnd({ receivedAt, fields, jwtExpiresAt }: Said): number | null {
  const { expires_in: expiresIn, expires_at: expiresAt } = fields
  const known = [
    jwtExpiresAt,
    expiresIn === undefined ? null : receivedAt + expiresIn * 1000,
    expiresAt === undefined ? null : moment(expiresAt),
  ].filter((end) => end !== null && !Number.isNaN(end))
  return known.length === 0
    ? null
    : Math.floor(Math.min(...known.map(Number), receivedAt + LONGEST_LIFE_MS))
}

function moment(value: number | string): number | null {
  // Epoch seconds or milliseconds.
  if (typeof value === 'number') return value > 1e11 ? value : value * 1000
  // Without a zone it means UTC, where `Date.parse` would take it for local time.
  const zoned = /(?:z|[+-]\d{2}:?\d{2})$/i.test(value) ? value : `${value}Z`
  const parsed = Date.parse(zoned)
  return Number.isNaN(parsed) ? null : parsed
}

/** How long before its end a credential is renewed: a fifth of its life, two minutes at most. */
export const renewalMarginMs = (lifeMs: number) => Math.min(120_000, lifeMs / 5)

import { z } from 'zod'
import type { Reply } from './http-calls.ts'
import { jwtClaims } from './jwt-claims.ts'
import { earliestEnd, LifetimeFields } from './lifetimes.ts'

const VisibleAscii = z.string().regex(/^[\x21-\x7e]+$/)

const ExchangeReply = LifetimeFields.extend({
  access_token: VisibleAscii,
  // Absent in the older replies. Case does not matter in it (RFC 6749, section 5.1).
  token_type: z
    .string()
    .regex(/^bearer$/i)
    .optional(),
})

export type ExchangedToken = {
  readonly token: string
  readonly receivedAt: number
  /** `null`: nothing tells. */
  readonly expiresAt: number | null
}

/** `null`: this is not a reply with a bearer token in it. */
export function exchangedToken(reply: Reply): ExchangedToken | null {
  const parsed = ExchangeReply.safeParse(jsonOf(reply.text))
  if (!parsed.success) return null
  const { access_token: token } = parsed.data
  const { receivedAt } = reply
  const jwtExpiresAt = jwtClaims(token)?.expiresAt ?? null
  const expiresAt = earliestEnd({ receivedAt, fields: parsed.data, jwtExpiresAt })
  return { token, receivedAt, expiresAt }
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import { decodeJwt } from 'jose/jwt/decode'
import { z } from 'zod'

const Scope = z.looseObject({ workspaceId: z.string().min(1) })

function embeddedJson(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

const Claims = z.looseObject({
  exp: z.number().positive().optional().catch(undefined),
  // An object, or the JSON of one.
  'io.airbyte.auth.workspace_scope': z.preprocess(embeddedJson, Scope).optional().catch(undefined),
})

/** What a token tells of itself. Nobody but the upstream can verify it, so nothing is decided on trust of it. */
export type JwtClaims = { readonly expiresAt: number | null; readonly workspaceId: string | null }

/** `null`: not a JWT. */
export function jwtClaims(token: string): JwtClaims | null {
  try {
    const claims = Claims.parse(decodeJwt(token))
    return {
      expiresAt: claims.exp === undefined ? null : claims.exp * 1000,
      workspaceId: claims['io.airbyte.auth.workspace_scope']?.workspaceId ?? null,
    }
  } catch {
    return null
  }
}

import { z } from 'zod'
import { type CacheName, FORMAT } from './cache-key.ts'
import type { Sealer } from './seal.ts'
import { TOKEN_TYPES, type Token } from './token.ts'

/** A token with what tells its place in a process's memory. */
export type PlacedToken = {
  readonly customerId: string
  readonly variant: string
  readonly token: Token
}

const Payload = z.tuple([
  z.string(),
  z.string(),
  z.string(),
  z.enum(TOKEN_TYPES),
  z.string().nullable(),
  z.number(),
  z.number(),
])

const placeOf = (name: CacheName) => `${FORMAT} ${name.customer} ${name.variant}`

export function sealToken(sealer: Sealer, name: CacheName, placed: PlacedToken): string {
  const { value, type, workspaceId, receivedAt, expiresAt } = placed.token
  const payload = [placed.customerId, placed.variant, value, type, workspaceId]
  return sealer.seal(placeOf(name), JSON.stringify([...payload, receivedAt, expiresAt]))
}

/** `null` for what was not sealed by this fleet, for this name, in this format. */
export function openToken(sealer: Sealer, name: CacheName, sealed: string): PlacedToken | null {
  const text = sealer.open(placeOf(name), sealed)
  const payload = text === null ? undefined : Payload.safeParse(JSON.parse(text)).data
  if (payload === undefined) return null
  const [customerId, variant, value, type, workspaceId, receivedAt, expiresAt] = payload
  return { customerId, variant, token: { value, type, workspaceId, receivedAt, expiresAt } }
}

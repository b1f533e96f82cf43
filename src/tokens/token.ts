/** What the upstream can mint: a bearer token for its API, or a blob for its browser widget. */
export const TOKEN_TYPES = ['scoped', 'widget'] as const
export type TokenType = (typeof TOKEN_TYPES)[number]

/** What the upstream minted for one customer. Moments are epoch milliseconds. */
export type Token = {
  /** Byte for byte as it came: the browser widget decodes it itself. */
  readonly value: string
  readonly type: TokenType
  readonly workspaceId: string | null
  readonly receivedAt: number
  readonly expiresAt: number
}

export type TagSelection = { readonly tags: readonly string[]; readonly mode: 'any' | 'all' }

/** Everything that decides which token it is. Two equal requests may share one token; others never. */
export type TokenRequest = {
  readonly customerId: string
  /** The name the upstream keeps this customer under; the mint is a get-or-create by it. */
  readonly workspaceName: string
  readonly type: TokenType
  /** `new URL(x).origin` form. Only widget tokens carry one. */
  readonly allowedOrigin: string | null
  /** `null`: no restriction by tags. */
  readonly sourceTags: TagSelection | null
  readonly connectionTags: TagSelection | null
  /** The caller named the tags itself, so a dialect that cannot apply them must refuse, not drop them. */
  readonly tagsAreRequired: boolean
  readonly regionId: string | null
}

/** What a caller wants of the token beyond its being valid. */
export type Demand = {
  readonly minTtlMs: number
  /** The caller has no use for the one it got before. */
  readonly refresh: boolean
}

/** Whether the last attempt to replace a token reached the upstream. */
export type UpstreamState = 'answering' | 'away'

/** Younger than this, a token is as new as any: no demand makes the broker mint another. */
export const YOUNG_FOR_MS = 10_000

const lifeOf = (token: Token) => token.expiresAt - token.receivedAt

/**
 * The moment from which a newer token is to be had, and a hit should set off a renewal.
 * Widget tokens: half of the life, because nothing renews the dialog a user sits in.
 */
export function refreshAfter(token: Token): number {
  const life = lifeOf(token)
  return token.expiresAt - (token.type === 'widget' ? life / 2 : Math.min(240_000, (life * 2) / 5))
}

/**
 * The moment until which a token may be handed out. Past it a scoped token is still good for a
 * caller while the upstream is away, until `expiresAt`; a widget token is not.
 */
export function servableUntil(token: Token): number {
  const life = lifeOf(token)
  return token.expiresAt - (token.type === 'widget' ? life / 2 : Math.min(120_000, life / 5))
}

/** The moment until which a token is of any use to a cache. */
export function keepableUntil(token: Token): number {
  return token.type === 'widget' ? servableUntil(token) : token.expiresAt
}

/** For how long a cache may keep a token that it gets now; 0 for one that is of no use any more. */
export function keepableFor(token: Token, now: number): number {
  return Math.max(0, Math.floor(keepableUntil(token) - now))
}

/** What time it must be at least, when a clock that is right keeps a token for only so long. */
export function nowAtLeast(token: Token, now: number, keptForMs: number): number {
  return Math.max(now, keepableUntil(token) - keptForMs)
}

export function mayBeServed(token: Token, now: number, upstream: UpstreamState): boolean {
  return now < (upstream === 'away' ? keepableUntil(token) : servableUntil(token))
}

export function isYoung(token: Token, now: number): boolean {
  // In both directions: another replica's clock may be a little ahead of ours.
  return Math.abs(now - token.receivedAt) < YOUNG_FOR_MS
}

/** Whether a kept token is what this caller asked for. */
export function meets(token: Token, demand: Demand, now: number, upstream: UpstreamState): boolean {
  if (!mayBeServed(token, now, upstream)) return false
  if (!demand.refresh && token.expiresAt - now >= demand.minTtlMs) return true
  return isYoung(token, now)
}

/**
 * Whether a kept token will do although a newer one was wanted and could not be had. Not for a caller
 * whose own token was refused: it would get the same one again.
 */
export function meetsWhileAway(token: Token, demand: Demand, now: number): boolean {
  return !demand.refresh && meets(token, demand, now, 'away')
}

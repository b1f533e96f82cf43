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

import type { Token, TokenRequest, TokenType } from '../tokens/token.ts'

/** Who waits for a call: background work yields to callers when connections are scarce. */
export type Urgency = 'caller' | 'background'

/** What the broker knows of its own credential; for health, and never the credential itself. */
export type OrgTokenStatus = {
  readonly state: 'starting' | 'ok' | 'failing'
  /** Epoch ms; `null` when there is none or nothing tells. */
  readonly expiresAt: number | null
  /** Fixed words that name the setting to look at; safe to show an operator. */
  readonly detail: string | null
}

export type TokenInfo = {
  /** A widget token is asked about by the scoped token inside it. */
  readonly type: TokenType
  readonly workspaceId: string | null
  readonly workspaceName: string | null
  readonly expiresAt: number | null
}

/** The other side: the API that mints. Every method throws `BrokerError`s of the `upstream_*` family. */
export type Upstream = {
  /**
   * @throws BrokerError also `origin_required` and `invalid_request`, where the dialect in use needs an
   * origin, or cannot apply tags that the caller insists on, and `overloaded`
   */
  mint(request: TokenRequest, urgency: Urgency): Promise<Token>
  /** What the upstream says of a scoped token, or of the one inside a widget token; `null`: not a valid one. */
  tokenInfo(token: string): Promise<TokenInfo | null>
  orgTokenStatus(): OrgTokenStatus
  close(): Promise<void>
}

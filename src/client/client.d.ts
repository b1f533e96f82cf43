/** The broker's answer: the fields of `GET /customers/{id}/token`. */
export type TokenReply = {
  readonly token: string
  readonly type: 'scoped' | 'widget'
  readonly customer_id: string
  readonly workspace_id: string | null
  readonly expires_at: string
  /** Seconds, counted from the reply. */
  readonly expires_in: number
  readonly refresh_after: string
}

export type TokenClientOptions = {
  /** Where the broker is, or a route of your own backend that passes requests on to it. */
  readonly url: string
  readonly customerId: string
  /** `scoped` (default) for calls to the API, `widget` for the embedded widget. */
  readonly type?: 'scoped' | 'widget'
  /**
   * A bearer credential, or a function that gives one. It is asked before every request, and once more,
   * with `refused` true, when the broker did not accept what it gave. Without a credential, cookies are
   * sent, with the header that the broker wants against forged requests.
   */
  readonly credential?: string | ((refused: boolean) => string | Promise<string>)
  /** Widget tokens: the page's origin, where the request itself does not tell (Node, a proxy). */
  readonly allowedOrigin?: string
  /** Tabs of one origin that show the same customer pass tokens on: one of them asks for all. */
  readonly shareTabs?: boolean
  /** The longest that `getToken()` may take, the credential and repeated tries included. Default 15000. */
  readonly timeoutMs?: number
  /** What to send requests with. Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch
}

export type TokenClient = {
  /**
   * A token that lives long enough to be used: the one in hand, or a new one. However many ask, one
   * request is made. Rejects with a `TokenError`.
   */
  getToken(): Promise<string>
  /** The reply in hand, unless its token is about to end. */
  current(): TokenReply | undefined
  /**
   * Calls `listener` with the reply in hand, if there is one, and with every new one. While somebody
   * listens, the token is renewed ahead of its end. `onError` hears of every try that failed for now or
   * for good; the token in hand may still be alive then.
   * @returns a function that ends it
   */
  onToken(listener: (reply: TokenReply) => void, onError?: (error: TokenError) => void): () => void
  /**
   * `fetch` with the token as bearer. An answer of 401 is met once with a fresh token and the same request;
   * if no fresh token is to be had, the 401 is what you get.
   */
  fetch: typeof globalThis.fetch
  /**
   * Keeps a widget that was made with this client's token alive, by its `updateToken`.
   * @returns a function that ends it: call it when the widget closes
   */
  widget(instance: { updateToken(token: string): void }): () => void
  /** Forgets the token, ends all timers and requests. Whoever still waits gets a `TokenError` `closed`. */
  close(): void
}

/** Why there is no token. */
export declare class TokenError extends Error {
  constructor(
    code: string,
    message: string,
    details?: {
      status?: number
      retryAfterMs?: number | undefined
      requestId?: string | undefined
      cause?: unknown
    },
  )
  /**
   * The broker's `code`, as in its problem documents, or one of the client's own: `network`, `timeout`,
   * `credential` (yours could not be had), `invalid_reply`, `closed`, `http` (an error that is not the broker's).
   */
  readonly code: string
  /** The status of the broker's answer; 0 if there was none. */
  readonly status: number
  /** How long the broker asked to be left alone. */
  readonly retryAfterMs: number | undefined
  /** Names the request in the broker's log. */
  readonly requestId: string | undefined
}

export declare function createTokenClient(options: TokenClientOptions): TokenClient

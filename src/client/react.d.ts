import type { TokenClient, TokenReply } from './client.d.ts'

/** The reply in hand, kept fresh while the component is mounted; `undefined` until there is one. */
export declare function useToken(client: TokenClient): TokenReply | undefined

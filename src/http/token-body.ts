import { createIsoTime } from '../iso-time.ts'
import { inOnePiece, rememberedBy } from '../remembered.ts'
import { refreshAfter, type Token } from '../tokens/token.ts'
import type { ReadyBody } from './ready-replies.ts'
import type { TokenReply } from './token-schemas.ts'

/** The reply's body. All but `expires_in` stays the same while the token lives, so that is made once. */
export function createTokenBodies(now: () => number) {
  const isoTime = createIsoTime()

  const lasting = rememberedBy((token: Token, customerId) => {
    const beginning: Omit<TokenReply, 'expires_in' | 'refresh_after'> = {
      token: token.value,
      type: token.type,
      customer_id: customerId,
      workspace_id: token.workspaceId,
      expires_at: isoTime.seconds(token.expiresAt),
    }
    const head = `${JSON.stringify(beginning).slice(0, -1)},"expires_in":`
    const tail = `,"refresh_after":"${isoTime.seconds(refreshAfter(token))}"}`
    return {
      head: inOnePiece(head),
      tail: inOnePiece(tail),
      bytes: Buffer.byteLength(head) + tail.length,
    }
  })

  return (token: Token, customerId: string): ReadyBody => {
    const { head, tail, bytes } = lasting(token, customerId)
    const seconds = String(Math.max(0, Math.floor((token.expiresAt - now()) / 1000)))
    return { json: head + seconds + tail, bytes: bytes + seconds.length }
  }
}

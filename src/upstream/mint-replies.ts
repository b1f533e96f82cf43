import { z } from 'zod'
import type { Token, TokenRequest } from '../tokens/token.ts'
import type { Dialect } from './dialects.ts'
import { jsonOf } from './exchange-replies.ts'
import type { Reply } from './http-calls.ts'
import { jwtClaims } from './jwt-claims.ts'
import { ASSUMED_LIFE_MS, earliestEnd, LifetimeFields, SHORTEST_LIFE_MS } from './lifetimes.ts'
import { widgetBlob, widgetFlaw } from './widget-blob.ts'

const word = z.string().min(1).optional().catch(undefined)

const MintReply = LifetimeFields.extend({ token: word, access_token: word, workspace_id: word })

export type ReadMint =
  | { readonly token: Token; readonly lifeIsAssumed: boolean }
  /** Fixed words for the log. */
  | { readonly problem: string }

/** What the upstream minted. Only what is needed is checked: replies have changed six times. */
export function readMint(dialect: Dialect, request: TokenRequest, reply: Reply): ReadMint {
  const parsed = MintReply.safeParse(jsonOf(reply.text))
  const value = parsed.data?.token ?? parsed.data?.access_token
  if (!parsed.success || value === undefined) return { problem: 'there is no token in the reply' }

  const blob = request.type === 'widget' ? widgetBlob(value) : null
  if (request.type === 'widget' && dialect.widgetReply === 'blob' && blob === null) {
    return { problem: 'the widget token is not what the widget can read' }
  }
  const flaw = blob === null ? null : flawFor(dialect, blob, request)
  if (flaw !== null) return { problem: flaw }

  const claims = jwtClaims(blob?.inner ?? value)
  const { receivedAt } = reply
  const end = earliestEnd({
    receivedAt,
    fields: parsed.data,
    jwtExpiresAt: claims?.expiresAt ?? null,
  })
  const expiresAt = end ?? receivedAt + ASSUMED_LIFE_MS.minted
  if (expiresAt - receivedAt < SHORTEST_LIFE_MS) return { problem: 'the token arrived expired' }

  const workspaceId =
    parsed.data.workspace_id ??
    claims?.workspaceId ??
    (blob?.url.searchParams.get('workspaceId') || null)
  return {
    token: { value, type: request.type, workspaceId, receivedAt, expiresAt },
    lifeIsAssumed: end === null,
  }
}

/** In the guide's generation a widget token may be any string, so it has no flaws. */
function flawFor(
  dialect: Dialect,
  blob: NonNullable<ReturnType<typeof widgetBlob>>,
  request: TokenRequest,
): string | null {
  return dialect.widgetReply === 'any' ? null : widgetFlaw(blob, request.allowedOrigin)
}

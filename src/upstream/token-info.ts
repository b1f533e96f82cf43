import { z } from 'zod'
import { BrokerError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { TokenType } from '../tokens/token.ts'
import type { ApiCalls } from './api-calls.ts'
import { createDeadline, type Deadline } from './deadline.ts'
import type { DialectChoice } from './dialect-choice.ts'
import { DIALECTS } from './dialects.ts'
import { joinUrl } from './endpoints.ts'
import { jsonOf } from './exchange-replies.ts'
import type { Reply } from './http-calls.ts'
import { jwtClaims } from './jwt-claims.ts'
import { earliestEnd, LifetimeFields } from './lifetimes.ts'
import type { UpstreamSettings } from './settings.ts'
import type { TokenInfo } from './upstream.ts'
import { widgetBlob } from './widget-blob.ts'

const word = z.string().min(1).optional().catch(undefined)

const InfoReply = LifetimeFields.omit({ expires_in: true }).extend({
  workspace_id: word,
  workspace_name: word,
})

const LONGEST_TOKEN = 8 * 1024

export type TokenInfoDeps = {
  readonly log: Log
  readonly api: ApiCalls
  readonly choice: DialectChoice
}

/** Asks the upstream about a scoped token, or the one inside a widget token. */
export function createTokenInfo(settings: UpstreamSettings, deps: TokenInfoDeps) {
  /** Until the dialect is known, every place there is: a token that is good at one of them is good. */
  function infoPaths(): string[] {
    const known = deps.choice.known()
    const paths = known === null ? DIALECTS.map(({ infoPath }) => infoPath) : [known.infoPath]
    return [...new Set(paths)].filter((path) => path !== null)
  }

  const ask = (path: string, token: string, deadline: Deadline): Promise<Reply> =>
    deps.api.send(
      {
        method: 'GET',
        url: joinUrl(settings.apiUrl, path),
        headers: { authorization: `Bearer ${token}` },
      },
      { deadline, urgency: 'caller', subject: ':info', about: { call: 'info' }, secrets: [token] },
    )

  return async (given: string): Promise<TokenInfo | null> => {
    const paths = infoPaths()
    if (paths.length === 0) {
      throw new BrokerError(
        'upstream_rejected',
        'the token service has no way to ask about tokens',
        {
          cause: new Error('the dialect custom needs AIRBYTE_TOKEN_INFO_PATH for it'),
        },
      )
    }
    const inner = widgetBlob(given)?.inner
    const token = inner ?? given
    // Anything else cannot be a bearer token, and must not get into a header.
    if (token.length > LONGEST_TOKEN || !/^[A-Za-z0-9._~+/=-]+$/.test(token)) return null

    const deadline = createDeadline(settings.timeoutMs)
    try {
      for (const path of paths) {
        const reply = await ask(path, token, deadline)
        if (reply.status >= 200 && reply.status < 300) {
          return infoOf(reply, token, inner === undefined ? 'scoped' : 'widget')
        }
        deps.log.debug(
          { call: 'info', status: reply.status },
          'the upstream does not know this token',
        )
      }
      return null
    } finally {
      deadline.clear()
    }
  }
}

function infoOf(reply: Reply, token: string, type: TokenType): TokenInfo {
  const parsed = InfoReply.safeParse(jsonOf(reply.text))
  if (!parsed.success) {
    throw new BrokerError('upstream_invalid', 'the token service sent an unusable answer', {
      cause: new Error('the token info is not a JSON object'),
    })
  }
  const { data } = parsed
  return {
    type,
    workspaceId: data.workspace_id ?? null,
    workspaceName: data.workspace_name ?? null,
    expiresAt: earliestEnd({
      receivedAt: reply.receivedAt,
      fields: { expires_at: data.expires_at, expires_in: undefined },
      jwtExpiresAt: jwtClaims(token)?.expiresAt ?? null,
    }),
  }
}

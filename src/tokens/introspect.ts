import type { TokenInfo } from '../upstream/upstream.ts'
import type { Broker } from './broker.ts'
import type { RequestSettings } from './request.ts'
import { workspaceNameOf } from './request.ts'
import type { TokenType } from './token.ts'

export type Introspected = {
  readonly type: TokenType
  readonly workspaceId: string | null
  readonly expiresAt: number | null
}

/** What there is to say of a token as this customer's; `null`: it is not live, or not this customer's. */
export type Introspect = (
  settings: RequestSettings,
  customerId: string,
  token: string,
) => Promise<Introspected | null>

/**
 * The upstream tells whether a token lives; whose it is, the workspace's name tells, or, where the
 * upstream does not name it, the workspace that was minted for this customer. Neither known: not this
 * customer's, because a yes would vouch for it.
 */
export function createIntrospection(
  tokenInfo: (token: string) => Promise<TokenInfo | null>,
  knownWorkspace: Broker['knownWorkspace'],
  now: () => number,
): Introspect {
  return async (settings, customerId, token) => {
    const info = await tokenInfo(token)
    if (!info || (info.expiresAt !== null && info.expiresAt <= now())) return null
    const isTheirs =
      info.workspaceName !== null
        ? info.workspaceName === workspaceNameOf(settings, customerId)
        : info.workspaceId !== null && info.workspaceId === (await knownWorkspace(customerId))
    return isTheirs
      ? { type: info.type, workspaceId: info.workspaceId, expiresAt: info.expiresAt }
      : null
  }
}

import type { Incoming } from './incoming.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import type { Route } from './routes.ts'
import type { SandboxSettings } from './settings.ts'
import type { Tokens } from './tokens.ts'

type InfoRoute = Extract<Route, { kind: 'info' }>

/** What the upstream tells of the scoped token that it is asked with. */
export function tokenInfo(
  request: Incoming,
  route: InfoRoute,
  settings: SandboxSettings,
  tokens: Tokens,
): Reply {
  const known = request.bearer === null ? null : tokens.verifyScoped(request.bearer)
  if (!known) return errorReply('detail-text', 401, 'Could not validate credentials')

  const { infoReply, dialects } = settings
  const guide =
    infoReply === 'by-dialect'
      ? route.family === 'embedded' && dialects.includes('embedded')
      : infoReply === 'guide'
  return jsonReply(
    200,
    guide
      ? { workspace_id: known.workspaceId, expires_at: new Date(known.expiresAt).toISOString() }
      : {
          organization_id: known.organization,
          workspace_id: known.workspaceId,
          workspace_name: known.customer,
        },
  )
}

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, OPTIONS',
  'access-control-allow-headers': 'authorization, content-type',
  'access-control-max-age': '600',
}

/** The API that a page calls with its scoped token; any page may. */
export function workspaceReply(request: Incoming, id: string, tokens: Tokens): Reply {
  const known = request.bearer === null ? null : tokens.verifyScoped(request.bearer)
  if (!known) return withCors(errorReply('problem', 401, 'unauthorized'))
  if (known.workspaceId !== id) return withCors(errorReply('problem', 403, 'forbidden'))
  return withCors(jsonReply(200, { workspaceId: id, name: known.customer, sources: [] }))
}

export const withCors = (reply: Reply): Reply => ({
  ...reply,
  headers: { ...reply.headers, ...CORS },
})

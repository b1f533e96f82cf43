import type { WidgetFlaw } from './faults.ts'
import type { Incoming } from './incoming.ts'
import type { Minted } from './ledger.ts'
import { type MintAsked, readMint } from './mint-request.ts'
import type { Patience } from './patience.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import type { Route } from './routes.ts'
import type { SandboxSettings } from './settings.ts'
import type { OrgToken, Tokens } from './tokens.ts'
import type { Workspace, Workspaces } from './workspaces.ts'

type MintRoute = Extract<Route, { kind: 'mint' }>

export type MintTweak = { readonly lifeMs?: number; readonly flaw?: WidgetFlaw }

/** From an org token and a customer's name to that customer's token. */
export function createMints(deps: {
  settings: () => SandboxSettings
  tokens: Tokens
  workspaces: Workspaces
  onMinted: (minted: Minted) => void
}) {
  const { settings, tokens, workspaces, onMinted } = deps

  async function tokenFor(
    workspace: Workspace,
    asked: MintAsked,
    route: MintRoute,
    tweak: MintTweak,
  ): Promise<Minted> {
    const { scopedLifeMs, widgetLifeMs } = settings()
    const scoped = await tokens.scopedToken({
      customer: workspace.name,
      workspaceId: workspace.id,
      organization: workspace.organization,
      lifeMs: tweak.lifeMs ?? (route.type === 'widget' ? widgetLifeMs : scopedLifeMs),
    })
    const origin = asked.allowedOrigin
    return {
      customer: workspace.name,
      type: route.type,
      workspaceId: workspace.id,
      organization: workspace.organization,
      token:
        route.type === 'widget' ? tokens.widgetToken(scoped, origin, tweak.flaw) : scoped.token,
      inner: scoped.token,
      allowedOrigin: origin,
      sourceTags: asked.sourceTags,
      connectionTags: asked.connectionTags,
      regionId: asked.regionId,
      expiresAt: scoped.expiresAt,
    }
  }

  return {
    async answer(
      request: Incoming,
      route: MintRoute,
      tweak: MintTweak,
      { turn, pause }: Patience,
    ): Promise<Reply | null> {
      const orgToken = orgTokenOrRefusal(request, tokens)
      if ('status' in orgToken) return (await turn()) ? orgToken : null
      const asked = readMint(request, route, settings())
      if ('status' in asked) return (await turn()) ? asked : null
      const organization = organizationOrRefusal(request, orgToken, settings())
      if (typeof organization !== 'string') return (await turn()) ? organization : null

      const visit = workspaces.enter(organization, asked.customer)
      let made = false
      try {
        if (!(await turn())) return null
        if (visit.isBroken()) {
          return errorReply('detail-text', 500, 'Internal Server Error')
        }
        if (visit.isNew) {
          const { requiredRegion, workspaceCreationMs } = settings()
          if (requiredRegion !== null && asked.regionId !== requiredRegion) {
            return errorReply('detail-text', 400, 'A workspace cannot be made in this region')
          }
          if (workspaceCreationMs > 0 && !(await pause(workspaceCreationMs))) return null
        }
        const minted = await tokenFor(visit.workspace, asked, route, tweak)
        made = true
        onMinted(minted)
        return mintReply(minted, asked, settings())
      } finally {
        visit.leave(made)
      }
    },
  }
}

function orgTokenOrRefusal(request: Incoming, tokens: Tokens): Reply | OrgToken {
  const { bearer } = request
  const orgToken = tokens.orgTokenOf(bearer)
  if (bearer === null || !orgToken || !tokens.isLive(bearer, orgToken)) {
    return errorReply('detail-text', 401, 'Could not validate credentials', {
      headers: { 'www-authenticate': 'Bearer' },
    })
  }
  return orgToken.mayMint
    ? orgToken
    : errorReply('detail-text', 403, 'The organization is not entitled to Embedded')
}

function organizationOrRefusal(
  request: Incoming,
  orgToken: OrgToken,
  settings: SandboxSettings,
): string | Reply {
  const reachable = orgToken.organization ? [orgToken.organization] : settings.organizations
  const wanted = request.headers['x-organization-id']
  if (wanted !== undefined) {
    return reachable.includes(wanted)
      ? wanted
      : errorReply('detail-text', 400, 'The organization is not one of this application')
  }
  const [only, ...others] = reachable
  return only !== undefined && others.length === 0
    ? only
    : errorReply('detail-text', 400, 'Several organizations: X-Organization-Id is required')
}

function mintReply(minted: Minted, asked: MintAsked, settings: SandboxSettings): Reply {
  const { mintReply: wanted } = settings
  const shape = wanted === 'by-dialect' ? (asked.dialect === 'embedded' ? 'full' : 'token') : wanted
  if (shape === 'access_token') return jsonReply(200, { access_token: minted.token })
  if (shape === 'token') return jsonReply(200, { token: minted.token })
  return jsonReply(200, {
    token: minted.token,
    expires_at: new Date(minted.expiresAt).toISOString(),
    workspace_id: minted.workspaceId,
  })
}

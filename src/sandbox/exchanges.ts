import type { AskedRequest } from './asked.ts'
import { fieldsOf, type Incoming } from './incoming.ts'
import { clientAuth, oauthRefusal, refuseGrant } from './oauth.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import type { Route } from './routes.ts'
import type { SandboxSettings } from './settings.ts'
import type { Tokens } from './tokens.ts'

type ExchangeRoute = Extract<Route, { kind: 'exchange' }>
type Client = SandboxSettings['clients'][number]

export type Tweak = { readonly lifeMs?: number }

/** From a client's credentials to an org token, in each of the ways there are. */
export function createExchanges(deps: {
  settings: () => SandboxSettings
  tokens: Tokens
  onIssued: (token: string) => void
}) {
  const { settings, tokens, onIssued } = deps

  const clientOf = (id: unknown, secret: unknown): Client | undefined =>
    settings().clients.find((client) => client.id === id && client.secret === secret)

  async function grant(client: Client, organization: string | null, tweak: Tweak) {
    const lifeMs = tweak.lifeMs ?? settings().orgTokenLifeMs
    const { token } = await tokens.orgToken({
      credential: client.id,
      organization,
      mayMint: client.mayMint ?? true,
      lifeMs,
    })
    onIssued(token)
    const { announcedExpiresIn, omitExpiresIn } = settings()
    const expires_in = announcedExpiresIn ?? Math.floor(lifeMs / 1000)
    return { access_token: token, ...(omitExpiresIn ? {} : { expires_in }) }
  }

  /** Cloud and self-managed: JSON and nothing else; the grant type may be said, and is not looked at. */
  async function airbyte(request: Incoming, route: ExchangeRoute, tweak: Tweak): Promise<Reply> {
    const fields = request.mediaType === 'application/json' ? fieldsOf(request.json) : null
    const client = clientOf(fields?.client_id, fields?.client_secret)
    if (!client) return errorReply('problem', 401, 'unauthorized')

    const { access_token, ...rest } = await grant(client, client.organization ?? null, tweak)
    if (route.exchange === 'self-managed-old') return jsonReply(200, { access_token })
    return jsonReply(200, { access_token, token_type: 'Bearer', ...rest })
  }

  async function agents(request: Incoming, tweak: Tweak): Promise<Reply> {
    const fields = request.mediaType === 'application/json' ? fieldsOf(request.json) : null
    for (const name of ['client_id', 'client_secret']) {
      if (typeof fields?.[name] === 'string') continue
      return errorReply('detail-list', 422, 'Field required', { at: ['body', name] })
    }
    const extra = Object.keys(fields ?? {}).find((n) => n !== 'client_id' && n !== 'client_secret')
    if (extra && settings().strict) {
      return errorReply('detail-list', 422, 'Extra inputs are not permitted', {
        at: ['body', extra],
      })
    }
    const client = clientOf(fields?.client_id, fields?.client_secret)
    if (!client) return errorReply('detail-text', 401, 'Invalid client credentials')

    const wanted = request.headers['x-organization-id']
    const reachable = client.organization ? [client.organization] : settings().organizations
    if (wanted !== undefined && !reachable.includes(wanted)) {
      return errorReply('detail-text', 400, 'The organization is not one of this application')
    }
    const organization = wanted ?? client.organization ?? null
    const reply = await grant(client, organization, tweak)
    return jsonReply(200, {
      ...reply,
      token_type: 'bearer',
      ...(organization ? { organization_id: organization } : {}),
    })
  }

  async function oauth2(request: Incoming, route: ExchangeRoute, tweak: Tweak): Promise<Reply> {
    const place = settings().beyondIdentity
    const { place: asked } = route
    const elsewhere =
      place !== null &&
      asked !== null &&
      (place.tenant !== asked.tenant ||
        place.realm !== asked.realm ||
        place.application !== asked.application)
    if (elsewhere) {
      return errorReply('message-code', 404, 'not found')
    }
    if (request.mediaType !== 'application/x-www-form-urlencoded') {
      return oauthRefusal(400, 'invalid_request', 'the body has to be a form')
    }
    const form = new URLSearchParams(request.body)
    const ways = route.exchange === 'beyond-identity' ? 'basic' : settings().oauth2ClientAuth
    const sent = clientAuth(request, form, ways)
    if ('refusal' in sent) return sent.refusal
    const client = clientOf(sent.id, sent.secret)
    if (!client) return oauthRefusal(401, 'invalid_client', 'unknown client or wrong secret')
    const refusal = refuseGrant(form, settings().scopes)
    if (refusal) return refusal

    const reply = await grant(client, client.organization ?? null, tweak)
    const scope = form.get('scope') ?? settings().scopes?.join(' ')
    return jsonReply(200, { ...reply, token_type: 'Bearer', ...(scope ? { scope } : {}) })
  }

  return {
    /** The client that a request says it is of, whatever its secret is worth. */
    clientNamedBy(request: Incoming): AskedRequest['credential'] {
      const fromJson = fieldsOf(request.json)?.client_id
      if (typeof fromJson === 'string') return fromJson
      if (request.mediaType !== 'application/x-www-form-urlencoded') return null
      const sent = clientAuth(request, new URLSearchParams(request.body), 'both')
      return 'id' in sent ? sent.id : null
    },

    answer(request: Incoming, route: ExchangeRoute, tweak: Tweak): Promise<Reply> {
      switch (route.exchange) {
        case 'cloud':
        case 'self-managed':
        case 'self-managed-old':
          return airbyte(request, route, tweak)
        case 'agents':
          return agents(request, tweak)
        case 'beyond-identity':
        case 'oauth2':
          return oauth2(request, route, tweak)
      }
    },
  }
}

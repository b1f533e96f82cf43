import type { TokenType } from '../tokens/token.ts'
import type { RequestKind } from './asked.ts'
import type { Exchange, SandboxSettings } from './settings.ts'

export type Family = 'embedded' | 'applications'

/** Whatever a path can mean, served or not. */
export type Route =
  | { readonly kind: 'exchange'; readonly exchange: Exchange; readonly place: BeyondIdentityPlace }
  | { readonly kind: 'mint'; readonly family: Family; readonly type: TokenType }
  | { readonly kind: 'info'; readonly family: Family }
  | { readonly kind: 'workspace'; readonly id: string }
  | { readonly kind: 'page' }
  | { readonly kind: 'health' }

/** The parts of a Beyond Identity path; null on every other one. */
export type BeyondIdentityPlace = { tenant: string; realm: string; application: string } | null

const FIXED: Readonly<Record<string, Route>> = {
  '/v1/applications/token': { kind: 'exchange', exchange: 'cloud', place: null },
  '/api/public/v1/applications/token': { kind: 'exchange', exchange: 'self-managed', place: null },
  '/api/v1/applications/token': { kind: 'exchange', exchange: 'self-managed-old', place: null },
  '/api/v1/account/applications/token': { kind: 'exchange', exchange: 'agents', place: null },
  '/oauth2/token': { kind: 'exchange', exchange: 'oauth2', place: null },
  '/api/v1/embedded/scoped-token': { kind: 'mint', family: 'embedded', type: 'scoped' },
  '/api/v1/embedded/widget-token': { kind: 'mint', family: 'embedded', type: 'widget' },
  '/api/v1/embedded/scoped-token/info': { kind: 'info', family: 'embedded' },
  '/api/v1/account/applications/scoped-token': {
    kind: 'mint',
    family: 'applications',
    type: 'scoped',
  },
  '/api/v1/account/applications/widget-token': {
    kind: 'mint',
    family: 'applications',
    type: 'widget',
  },
  '/api/v1/account/applications/scoped-token/info': { kind: 'info', family: 'applications' },
  '/embedded-widget': { kind: 'page' },
  '/health': { kind: 'health' },
}

const BEYOND_IDENTITY = /^\/v1\/tenants\/([^/]+)\/realms\/([^/]+)\/applications\/([^/]+)\/token$/
const WORKSPACE = /^\/api\/v1\/workspaces\/([^/]+)$/

/** To the letter: a doubled slash or one at the end is another path, as it is with the real ones. */
export function routeOf(path: string): Route | null {
  if (Object.hasOwn(FIXED, path)) return FIXED[path] ?? null
  const id = WORKSPACE.exec(path)?.[1]
  if (id) return { kind: 'workspace', id }
  const [, tenant, realm, application] = BEYOND_IDENTITY.exec(path) ?? []
  if (!tenant || !realm || !application) return null
  return { kind: 'exchange', exchange: 'beyond-identity', place: { tenant, realm, application } }
}

export const methodOf = (route: Route): 'GET' | 'POST' =>
  route.kind === 'exchange' || route.kind === 'mint' ? 'POST' : 'GET'

export function kindOf(route: Route | null): RequestKind {
  const kind = route?.kind
  return kind === 'exchange' || kind === 'mint' || kind === 'info' ? kind : 'other'
}

/** Whether the generation that this path belongs to is one that answers. */
export function servedBy(route: Route, { dialects, exchanges }: SandboxSettings): boolean {
  if (route.kind === 'exchange') return exchanges.includes(route.exchange)
  if (route.kind !== 'mint' && route.kind !== 'info') return true
  return route.family === 'applications'
    ? dialects.includes('applications')
    : dialects.includes('embedded') || dialects.includes('embedded-workspace')
}

import { createHash } from 'node:crypto'

export type ClientCredential = { readonly clientId: string; readonly clientSecret: string }

/** The credential in use first, and behind it the one being phased in or out. */
export type ClientCredentials = readonly [ClientCredential, ClientCredential?]

/** How we come by the token that we authenticate to the upstream with. */
export type OrgTokenSettings =
  | { readonly source: 'static'; readonly accessToken: string }
  | {
      readonly source: 'airbyte-cloud' | 'airbyte-self-managed' | 'airbyte-agents'
      /** In the order to try them; the next one is asked only if there is nothing at the one before. */
      readonly tokenUrls: readonly [string, ...string[]]
      readonly credentials: ClientCredentials
    }
  | {
      readonly source: 'beyond-identity'
      readonly tokenUrls: readonly [string, ...string[]]
      readonly credentials: ClientCredentials
      readonly scopes: readonly string[]
    }
  | {
      readonly source: 'oauth2'
      readonly tokenUrls: readonly [string, ...string[]]
      readonly credentials: ClientCredentials
      readonly scopes: readonly string[]
      readonly clientAuth: 'basic' | 'post'
    }

export type ExchangeSettings = Exclude<OrgTokenSettings, { source: 'static' }>

export const ORG_TOKEN_SOURCES = [
  'static',
  'airbyte-cloud',
  'airbyte-self-managed',
  'airbyte-agents',
  'beyond-identity',
  'oauth2',
] as const satisfies readonly OrgTokenSettings['source'][]

export type CustomDialect = {
  /** Paths under `apiUrl`. */
  readonly scopedTokenPath: string
  readonly widgetTokenPath: string
  readonly tokenInfoPath: string | null
  /** The field of the request that carries the customer's name. */
  readonly customerField: string
  readonly tagsOn: 'none' | 'widget' | 'both'
}

export const DIALECT_SETTINGS = [
  'auto',
  'embedded',
  'embedded-workspace',
  'applications',
  'custom',
] as const

export type UpstreamSettings = {
  readonly apiUrl: string
  readonly dialect: (typeof DIALECT_SETTINGS)[number]
  /** Set exactly if `dialect` is `custom`. */
  readonly custom: CustomDialect | null
  readonly organizationId: string | null
  readonly orgToken: OrgTokenSettings
  /** For one whole piece of work: waiting, calls, bodies and retries. */
  readonly timeoutMs: number
  readonly maxConcurrency: number
  readonly proxyUrl: string | null
  /** Hosts that are reached without the proxy, as `NO_PROXY` spells them. */
  readonly noProxy?: string | null
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** A client id names the application whatever its secret is just now, so a new secret keeps the cache. */
function credentialIdentity(orgToken: OrgTokenSettings): readonly string[] {
  if (orgToken.source === 'static') return ['static', sha256(orgToken.accessToken)]
  const scopes = 'scopes' in orgToken ? orgToken.scopes : []
  return [
    orgToken.source,
    sha256(JSON.stringify([orgToken.tokenUrls[0], orgToken.credentials[0].clientId, ...scopes])),
  ]
}

/** Everything in the settings that decides which tokens are minted; for the cache's keys. */
export function upstreamIdentity(settings: UpstreamSettings): string[] {
  const { custom } = settings
  return [
    settings.apiUrl,
    settings.dialect,
    ...(custom === null
      ? []
      : [custom.scopedTokenPath, custom.widgetTokenPath, custom.customerField, custom.tagsOn]),
    settings.organizationId ?? '',
    ...credentialIdentity(settings.orgToken),
  ]
}

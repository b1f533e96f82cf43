import { orgTokenUrls } from '../upstream/endpoints.ts'
import type { ClientCredentials, OrgTokenSettings, UpstreamSettings } from '../upstream/settings.ts'
import { orgTokenSource } from './rules.ts'
import type { Settings } from './settings.ts'

export function upstreamSettings(set: Settings): UpstreamSettings {
  return {
    apiUrl: set.AIRBYTE_API_URL,
    dialect: set.AIRBYTE_DIALECT,
    custom:
      set.AIRBYTE_DIALECT === 'custom'
        ? {
            scopedTokenPath: set.AIRBYTE_SCOPED_TOKEN_PATH ?? '',
            widgetTokenPath: set.AIRBYTE_WIDGET_TOKEN_PATH ?? '',
            tokenInfoPath: set.AIRBYTE_TOKEN_INFO_PATH ?? null,
            customerField: set.AIRBYTE_CUSTOMER_FIELD ?? '',
            tagsOn: set.AIRBYTE_TAGS_ON ?? 'none',
          }
        : null,
    organizationId: set.AIRBYTE_ORGANIZATION_ID ?? null,
    orgToken: orgTokenSettings(set),
    timeoutMs: set.UPSTREAM_TIMEOUT,
    maxConcurrency: set.UPSTREAM_MAX_CONCURRENCY,
    proxyUrl: set.HTTPS_PROXY ?? null,
    noProxy: set.NO_PROXY ?? null,
  }
}

/** The schema's rules have seen to it that what a source needs is set. */
function orgTokenSettings(set: Settings): OrgTokenSettings {
  const source = orgTokenSource(set) ?? 'static'
  const explicit = set.AIRBYTE_TOKEN_URL
  switch (source) {
    case 'static':
      return { source, accessToken: set.AIRBYTE_ACCESS_TOKEN ?? '' }
    case 'airbyte-cloud':
    case 'airbyte-agents':
    case 'airbyte-self-managed': {
      const derived = {
        'airbyte-cloud': () => orgTokenUrls['airbyte-cloud'](),
        'airbyte-agents': () => orgTokenUrls['airbyte-agents'](set.AIRBYTE_API_URL),
        'airbyte-self-managed': () => orgTokenUrls['airbyte-self-managed'](set.AIRBYTE_URL ?? ''),
      }
      return {
        source,
        tokenUrls: explicit ? [explicit] : derived[source](),
        credentials: credentials(set, 'AIRBYTE'),
      }
    }
    case 'beyond-identity':
      return {
        source,
        tokenUrls: set.BEYOND_IDENTITY_TOKEN_URL
          ? [set.BEYOND_IDENTITY_TOKEN_URL]
          : orgTokenUrls['beyond-identity']({
              region: set.BEYOND_IDENTITY_REGION,
              tenantId: set.BEYOND_IDENTITY_TENANT_ID ?? '',
              realmId: set.BEYOND_IDENTITY_REALM_ID ?? '',
              applicationId: set.BEYOND_IDENTITY_APPLICATION_ID ?? '',
            }),
        credentials: credentials(set, 'BEYOND_IDENTITY'),
        scopes: set.BEYOND_IDENTITY_SCOPES,
      }
    case 'oauth2':
      return {
        source,
        tokenUrls: [set.OAUTH2_TOKEN_URL ?? ''],
        credentials: credentials(set, 'OAUTH2'),
        scopes: set.OAUTH2_SCOPES,
        clientAuth: set.OAUTH2_CLIENT_AUTH,
      }
  }
}

type Family = 'AIRBYTE' | 'BEYOND_IDENTITY' | 'OAUTH2'

function credentials(set: Settings, family: Family): ClientCredentials {
  const pair = (suffix: '' | '_PREVIOUS') => ({
    clientId: set[`${family}_CLIENT_ID${suffix}`] ?? '',
    clientSecret: set[`${family}_CLIENT_SECRET${suffix}`] ?? '',
  })
  const previous = pair('_PREVIOUS')
  return previous.clientId === '' ? [pair('')] : [pair(''), previous]
}

/** What only this organisation has, and all its replicas share. */
export function orgSecret(set: Settings): string {
  const { orgToken } = upstreamSettings(set)
  return orgToken.source === 'static' ? orgToken.accessToken : orgToken.credentials[0].clientSecret
}

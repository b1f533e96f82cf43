/**
 * `path` under `base`, with exactly one slash between them. A version that ends the base and begins the
 * path is the usual mistake in a configuration (`…/v1` + `/v1/…`), so what they overlap in is not doubled.
 */
export function joinUrl(base: string, path: string): string {
  const url = new URL(base)
  const left = segments(url.pathname)
  const right = segments(path)
  const overlap = longestOverlap(left, right)
  url.pathname = `/${[...left, ...right.slice(overlap)].join('/')}`
  url.search = ''
  url.hash = ''
  return url.href
}

const segments = (path: string) => path.split('/').filter((segment) => segment !== '')

function longestOverlap(left: readonly string[], right: readonly string[]): number {
  for (let size = Math.min(left.length, right.length); size > 0; size--) {
    if (left.slice(-size).every((segment, index) => segment === right[index])) return size
  }
  return 0
}

export const AIRBYTE_CLOUD_TOKEN_URL = 'https://api.airbyte.com/v1/applications/token'

export type BeyondIdentityPlace = {
  readonly region: 'us' | 'eu'
  readonly tenantId: string
  readonly realmId: string
  readonly applicationId: string
}

/** Where each source exchanges credentials, unless the configuration says otherwise; most current one first. */
export const orgTokenUrls = {
  'airbyte-cloud': (): [string] => [AIRBYTE_CLOUD_TOKEN_URL],
  'airbyte-self-managed': (airbyteUrl: string): [string, string] => [
    joinUrl(airbyteUrl, '/api/public/v1/applications/token'),
    joinUrl(airbyteUrl, '/api/v1/applications/token'),
  ],
  'airbyte-agents': (apiUrl: string): [string] => [
    joinUrl(apiUrl, '/api/v1/account/applications/token'),
  ],
  'beyond-identity': (place: BeyondIdentityPlace): [string] => [
    joinUrl(
      `https://auth-${place.region}.beyondidentity.com`,
      [
        ['v1', 'tenants', place.tenantId],
        ['realms', place.realmId],
        ['applications', place.applicationId, 'token'],
      ]
        .flat()
        .map(encodeURIComponent)
        .join('/'),
    ),
  ],
}

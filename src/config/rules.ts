import type { Settings } from './settings.ts'
import { isPrivateHost } from './values.ts'

/** While other settings are wrong, a rule sees only whether a name is set, so that is all a rule may ask of those. */
export type Rule = readonly [
  name: keyof Settings,
  message: string,
  holds: (set: Settings) => boolean,
]

const isSet = (value: unknown) => value !== undefined
const together = (...values: unknown[]) => values.every(isSet) || !values.some(isSet)

/** The families of org credentials that are set: more than one is a riddle, unless one is chosen by name. */
const orgCredentials = (set: Settings) =>
  [
    set.AIRBYTE_ACCESS_TOKEN,
    set.AIRBYTE_CLIENT_ID ?? set.AIRBYTE_CLIENT_SECRET,
    set.BEYOND_IDENTITY_CLIENT_ID ?? set.BEYOND_IDENTITY_CLIENT_SECRET,
    set.OAUTH2_CLIENT_ID ?? set.OAUTH2_CLIENT_SECRET,
  ].filter(isSet).length

const UPSTREAM_URLS = [
  'AIRBYTE_API_URL',
  'AIRBYTE_URL',
  'AIRBYTE_TOKEN_URL',
  'BEYOND_IDENTITY_TOKEN_URL',
  'OAUTH2_TOKEN_URL',
  'JWT_ISSUER',
  'JWT_JWKS_URL',
  'SESSION_CHECK_URL',
] as const

/** The org token's source, as named or as the credentials tell. */
export function orgTokenSource(
  set: Settings,
): NonNullable<Settings['ORG_TOKEN_SOURCE']> | undefined {
  if (set.ORG_TOKEN_SOURCE) return set.ORG_TOKEN_SOURCE
  if (isSet(set.AIRBYTE_ACCESS_TOKEN)) return 'static'
  if (isSet(set.AIRBYTE_CLIENT_ID ?? set.AIRBYTE_CLIENT_SECRET)) {
    if (isSet(set.AIRBYTE_URL)) return 'airbyte-self-managed'
    return set.AIRBYTE_DIALECT === 'applications' ? 'airbyte-agents' : 'airbyte-cloud'
  }
  if (isSet(set.BEYOND_IDENTITY_CLIENT_ID ?? set.BEYOND_IDENTITY_CLIENT_SECRET))
    return 'beyond-identity'
  return isSet(set.OAUTH2_CLIENT_ID ?? set.OAUTH2_CLIENT_SECRET) ? 'oauth2' : undefined
}

const needs = (sources: readonly string[], name: keyof Settings): Rule => [
  name,
  `is needed for the org token from ${sources.join(', ')}`,
  (set) => !sources.includes(orgTokenSource(set) ?? '') || isSet(set[name]),
]

const AIRBYTE_SOURCES = ['airbyte-cloud', 'airbyte-self-managed', 'airbyte-agents']

/** What must hold between settings. */
export const RULES: readonly Rule[] = [
  [
    'ORG_TOKEN_SOURCE',
    'no org credential is set: set AIRBYTE_ACCESS_TOKEN, or AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET, or those of BEYOND_IDENTITY_ or OAUTH2_',
    (set) => orgTokenSource(set) !== undefined || orgCredentials(set) > 0,
  ],
  [
    'ORG_TOKEN_SOURCE',
    'several org credentials are set: remove the others, or name one source here',
    (set) => isSet(set.ORG_TOKEN_SOURCE) || orgCredentials(set) <= 1,
  ],
  needs(['static'], 'AIRBYTE_ACCESS_TOKEN'),
  needs(AIRBYTE_SOURCES, 'AIRBYTE_CLIENT_ID'),
  needs(AIRBYTE_SOURCES, 'AIRBYTE_CLIENT_SECRET'),
  needs(['beyond-identity'], 'BEYOND_IDENTITY_CLIENT_ID'),
  needs(['beyond-identity'], 'BEYOND_IDENTITY_CLIENT_SECRET'),
  needs(['oauth2'], 'OAUTH2_CLIENT_ID'),
  needs(['oauth2'], 'OAUTH2_CLIENT_SECRET'),
  needs(['oauth2'], 'OAUTH2_TOKEN_URL'),
  [
    'AIRBYTE_URL',
    'is needed for the org token from airbyte-self-managed, or AIRBYTE_TOKEN_URL',
    (set) =>
      orgTokenSource(set) !== 'airbyte-self-managed' ||
      isSet(set.AIRBYTE_URL) ||
      isSet(set.AIRBYTE_TOKEN_URL),
  ],
  ...(['TENANT', 'REALM', 'APPLICATION'] as const).map(
    (part): Rule => [
      `BEYOND_IDENTITY_${part}_ID`,
      'is needed for the org token from beyond-identity, or BEYOND_IDENTITY_TOKEN_URL',
      (set) =>
        orgTokenSource(set) !== 'beyond-identity' ||
        isSet(set.BEYOND_IDENTITY_TOKEN_URL) ||
        isSet(set[`BEYOND_IDENTITY_${part}_ID`]),
    ],
  ),
  ...(['AIRBYTE', 'BEYOND_IDENTITY', 'OAUTH2'] as const).map(
    (family): Rule => [
      `${family}_CLIENT_SECRET_PREVIOUS`,
      `goes together with ${family}_CLIENT_ID_PREVIOUS`,
      (set) =>
        together(set[`${family}_CLIENT_ID_PREVIOUS`], set[`${family}_CLIENT_SECRET_PREVIOUS`]),
    ],
  ),
  ...(
    ['AIRBYTE_SCOPED_TOKEN_PATH', 'AIRBYTE_WIDGET_TOKEN_PATH', 'AIRBYTE_CUSTOMER_FIELD'] as const
  ).map(
    (name): Rule => [
      name,
      'is needed for AIRBYTE_DIALECT=custom',
      (set) => set.AIRBYTE_DIALECT !== 'custom' || isSet(set[name]),
    ],
  ),
  ...(
    [
      'AIRBYTE_SCOPED_TOKEN_PATH',
      'AIRBYTE_WIDGET_TOKEN_PATH',
      'AIRBYTE_TOKEN_INFO_PATH',
      'AIRBYTE_CUSTOMER_FIELD',
      'AIRBYTE_TAGS_ON',
    ] as const
  ).map(
    (name): Rule => [
      name,
      'counts only with AIRBYTE_DIALECT=custom',
      (set) => set.AIRBYTE_DIALECT === 'custom' || !isSet(set[name]),
    ],
  ),
  ...UPSTREAM_URLS.map(
    (name): Rule => [
      name,
      'must be https, unless ALLOW_INSECURE_UPSTREAM=true is set',
      (set) => {
        const url = set[name]
        return (
          set.ALLOW_INSECURE_UPSTREAM === true ||
          typeof url !== 'string' ||
          !url.startsWith('http:') ||
          !URL.canParse(url) ||
          isPrivateHost(url)
        )
      },
    ],
  ),
  [
    'AUTH',
    'no way to tell callers is set: set API_KEYS, JWT_ISSUER, JWT_JWKS_URL, JWT_SECRET or SESSION_CHECK_URL; AUTH=none lets everybody in, for demos and closed networks',
    (set) => isSet(set.AUTH) || callerChecks(set).length > 0,
  ],
  [
    'AUTH',
    'none contradicts the settings that tell callers apart',
    (set) => !isSet(set.AUTH) || callerChecks(set).length === 0,
  ],
  [
    'JWT_SECRET',
    'contradicts JWT_ISSUER and JWT_JWKS_URL: tokens are signed either way, not both',
    (set) => !isSet(set.JWT_SECRET) || !(isSet(set.JWT_ISSUER) || isSet(set.JWT_JWKS_URL)),
  ],
  [
    'JWT_AUDIENCE',
    'is needed to accept JWTs: without it, a token made for another service would do',
    (set) =>
      isSet(set.JWT_AUDIENCE) ||
      !(isSet(set.JWT_SECRET) || isSet(set.JWT_ISSUER) || isSet(set.JWT_JWKS_URL)),
  ],
  [
    'JWT_ALGORITHMS',
    'contradicts JWT_SECRET, which goes with HS256 alone',
    (set) => !isSet(set.JWT_SECRET) || !isSet(set.JWT_ALGORITHMS),
  ],
  [
    'REDIS_URL',
    'one of REDIS_URL, REDIS_CLUSTER_NODES and REDIS_SENTINELS is enough',
    (set) =>
      [set.REDIS_URL, set.REDIS_CLUSTER_NODES, set.REDIS_SENTINELS].filter(isSet).length <= 1,
  ],
  [
    'REDIS_SENTINEL_NAME',
    'goes together with REDIS_SENTINELS',
    (set) => together(set.REDIS_SENTINELS, set.REDIS_SENTINEL_NAME),
  ],
  [
    'ADMIN_TOKEN',
    'needs OPS_PORT: what operators may do is never served where pages call',
    (set) => !isSet(set.ADMIN_TOKEN) || isSet(set.OPS_PORT),
  ],
  [
    'OPS_PORT',
    'is the same as PORT: leave it unset to serve both on one port',
    (set) => set.OPS_PORT === undefined || set.OPS_PORT === 0 || set.OPS_PORT !== set.PORT,
  ],
]

const callerChecks = (set: Settings) =>
  [set.API_KEYS, set.JWT_ISSUER, set.JWT_JWKS_URL, set.JWT_SECRET, set.SESSION_CHECK_URL].filter(
    isSet,
  )

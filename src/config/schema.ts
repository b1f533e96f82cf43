import { z } from 'zod'
import { TOKEN_TYPES } from '../tokens/token.ts'
import * as v from './values.ts'

const tagsMode = z.enum(['any', 'all'], 'is neither any nor all')

/** Every setting by its name in the environment, with its default. One line on each is in `.env.example`. */
const settings = {
  PORT: v.wholeNumber(0, 65535).prefault('8080'),
  HOST: z.string().default('0.0.0.0'),
  OPS_PORT: v.wholeNumber(0, 65535).optional(),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'is not a level of the log',
    )
    .default('info'),
  TRUST_PROXY: v.trustProxy.default(false),
  CORS_ALLOWED_ORIGINS: v.origins.prefault(''),
  WIDGET_ALLOWED_ORIGINS: v.origins.optional(),
  TOKEN_DEFAULT_TYPE: z.enum(TOKEN_TYPES, 'is neither scoped nor widget').default('scoped'),
  CUSTOMER_ID_PATTERN: v.pattern.prefault('[A-Za-z0-9._~:@-]{1,128}'),
  CUSTOMER_WORKSPACE_TEMPLATE: z
    .string()
    .regex(/^[^\p{Cc}]*\{id\}[^\p{Cc}]*$/u, 'does not contain {id}')
    .default('{id}'),

  AIRBYTE_API_URL: v.httpUrl.default('https://api.airbyte.ai'),
  AIRBYTE_DIALECT: z
    .enum(['auto', 'embedded', 'embedded-workspace', 'applications', 'custom'], 'is not a dialect')
    .default('auto'),
  AIRBYTE_SCOPED_TOKEN_PATH: v.absolutePath.optional(),
  AIRBYTE_WIDGET_TOKEN_PATH: v.absolutePath.optional(),
  AIRBYTE_TOKEN_INFO_PATH: v.absolutePath.optional(),
  AIRBYTE_CUSTOMER_FIELD: z
    .string()
    .regex(/^\w{1,64}$/, 'is not a field name')
    .optional(),
  AIRBYTE_TAGS_ON: z.enum(['none', 'widget', 'both'], 'is not none, widget or both').optional(),
  AIRBYTE_ORGANIZATION_ID: v.uuid.optional(),
  AIRBYTE_REGION_ID: v.uuid.optional(),
  AIRBYTE_SOURCE_TEMPLATE_TAGS: v.list.prefault(''),
  AIRBYTE_SOURCE_TEMPLATE_TAGS_MODE: tagsMode.default('any'),
  AIRBYTE_CONNECTION_TEMPLATE_TAGS: v.list.prefault(''),
  AIRBYTE_CONNECTION_TEMPLATE_TAGS_MODE: tagsMode.default('any'),
  UPSTREAM_TIMEOUT: v.duration(100, 120_000).prefault('10s'),
  UPSTREAM_MAX_CONCURRENCY: v.wholeNumber(1, 1024).prefault('32'),
  ALLOW_INSECURE_UPSTREAM: v.flag.default(false),
  HTTPS_PROXY: v.proxyUrl.optional(),
  NO_PROXY: z.string().optional(),

  ORG_TOKEN_SOURCE: z
    .enum(
      [
        'static',
        'airbyte-cloud',
        'airbyte-self-managed',
        'airbyte-agents',
        'beyond-identity',
        'oauth2',
      ],
      'is not a source of the org token',
    )
    .optional(),
  AIRBYTE_ACCESS_TOKEN: v.visible.optional(),
  AIRBYTE_CLIENT_ID: v.visible.optional(),
  AIRBYTE_CLIENT_SECRET: v.visible.optional(),
  AIRBYTE_CLIENT_ID_PREVIOUS: v.visible.optional(),
  AIRBYTE_CLIENT_SECRET_PREVIOUS: v.visible.optional(),
  AIRBYTE_URL: v.httpUrl.optional(),
  AIRBYTE_TOKEN_URL: v.httpUrl.optional(),
  BEYOND_IDENTITY_REGION: z.enum(['us', 'eu'], 'is neither us nor eu').default('us'),
  BEYOND_IDENTITY_TENANT_ID: v.pathPart.optional(),
  BEYOND_IDENTITY_REALM_ID: v.pathPart.optional(),
  BEYOND_IDENTITY_APPLICATION_ID: v.pathPart.optional(),
  BEYOND_IDENTITY_CLIENT_ID: v.visible.optional(),
  BEYOND_IDENTITY_CLIENT_SECRET: v.visible.optional(),
  BEYOND_IDENTITY_CLIENT_ID_PREVIOUS: v.visible.optional(),
  BEYOND_IDENTITY_CLIENT_SECRET_PREVIOUS: v.visible.optional(),
  BEYOND_IDENTITY_SCOPES: v.scopes.prefault(''),
  BEYOND_IDENTITY_TOKEN_URL: v.httpUrl.optional(),
  OAUTH2_TOKEN_URL: v.httpUrl.optional(),
  OAUTH2_CLIENT_ID: v.visible.optional(),
  OAUTH2_CLIENT_SECRET: v.visible.optional(),
  OAUTH2_CLIENT_ID_PREVIOUS: v.visible.optional(),
  OAUTH2_CLIENT_SECRET_PREVIOUS: v.visible.optional(),
  OAUTH2_SCOPES: v.scopes.prefault(''),
  OAUTH2_CLIENT_AUTH: z.enum(['basic', 'post'], 'is neither basic nor post').default('basic'),

  REDIS_URL: v.redisUrl.optional(),
  REDIS_CLUSTER_NODES: v.hostPorts.optional(),
  REDIS_SENTINELS: v.hostPorts.optional(),
  REDIS_SENTINEL_NAME: z.string().optional(),
  REDIS_USERNAME: z.string().optional(),
  REDIS_PASSWORD: z.string().optional(),
  REDIS_TLS: v.flag.default(false),
  REDIS_KEY_PREFIX: z
    .string()
    .regex(/^[\w:.-]{1,64}$/, 'has other characters than letters, digits and _ : . -')
    .default('token-broker:'),
  CACHE_ENCRYPTION_KEYS: v.encryptionKeys.optional(),
  CACHE_MAX_ENTRIES: v.wholeNumber(1, 10_000_000).prefault('100000'),

  RATE_LIMIT_MAX: v.wholeNumber(1, 1_000_000_000).prefault('100'),
  RATE_LIMIT_WINDOW: v.duration(1000, 86_400_000).prefault('15m'),
  RATE_LIMIT_AUTH_FAILURES: v.wholeNumber(1, 1_000_000).prefault('100'),
  RATE_LIMIT_ON_REDIS_ERROR: z
    .enum(['local', 'deny'], 'is neither local nor deny')
    .default('local'),

  AUTH: z.literal('none', 'knows the one value none').optional(),
  API_KEYS: v.apiKeys.optional(),
  JWT_ISSUER: v.httpUrl.optional(),
  JWT_JWKS_URL: v.httpUrl.optional(),
  JWT_SECRET: z
    .string()
    .refine((text) => Buffer.byteLength(text) >= 32, 'is shorter than 32 bytes')
    .optional(),
  JWT_AUDIENCE: v.list.optional(),
  JWT_CUSTOMER_CLAIM: z.string().max(256).default('customer_id'),
  JWT_ALGORITHMS: v.algorithms.optional(),
  SESSION_CHECK_URL: v.httpUrl.optional(),
  SESSION_CHECK_TTL: v.duration(0, 3_600_000).prefault('30s'),
  SESSION_COOKIE: v.list.optional(),
  POLICY_FILE: z.string().optional(),
  AUDIT_LOG: z.string().default('stdout'),

  SHUTDOWN_DELAY: v.duration(0, 300_000).prefault('1s'),
  SHUTDOWN_GRACE: v.duration(0, 600_000).prefault('10s'),
}

export const SETTING_NAMES = Object.keys(settings)

export type Settings = z.output<z.ZodObject<typeof settings>>

/** While other settings are wrong, a rule sees only whether a name is set, so that is all a rule may ask of those. */
type Rule = readonly [name: keyof Settings, message: string, holds: (set: Settings) => boolean]

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

const rules: readonly Rule[] = [
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
          v.isPrivateHost(url)
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
    'OPS_PORT',
    'is the same as PORT: leave it unset to serve both on one port',
    (set) => set.OPS_PORT === undefined || set.OPS_PORT === 0 || set.OPS_PORT !== set.PORT,
  ],
]

const callerChecks = (set: Settings) =>
  [set.API_KEYS, set.JWT_ISSUER, set.JWT_JWKS_URL, set.JWT_SECRET, set.SESSION_CHECK_URL].filter(
    isSet,
  )

/** `when`: the rules are asked although a setting is wrong, so that all mistakes are told at once. */
export const settingsSchema = rules.reduce(
  (schema, [name, message, holds]) =>
    schema.refine(holds, { path: [name], message, when: ({ value }) => value !== undefined }),
  z.object(settings),
)

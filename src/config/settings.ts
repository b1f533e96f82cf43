import { z } from 'zod'
import { TOKEN_TYPES } from '../tokens/token.ts'
import * as v from './values.ts'

const tagsMode = z.enum(['any', 'all'], 'is neither any nor all')

/** Every setting by its name in the environment, with its default. One line on each is in `.env.example`. */
export const settings = {
  PORT: v.wholeNumber(0, 65535).prefault('8080'),
  HOST: z.string().default('0.0.0.0'),
  OPS_PORT: v.wholeNumber(0, 65535).optional(),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'is not a level of the log',
    )
    .default('info'),
  LOG_SAMPLE: v.share.prefault('1'),
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

  OTEL_EXPORTER_OTLP_ENDPOINT: v.httpUrl.optional(),
  OTEL_SERVICE_NAME: z.string().default('token-broker'),
  OTEL_INCLUDE_CUSTOMER: v.flag.default(false),
  ADMIN_TOKEN: v.visible.min(24, 'is shorter than 24 characters').optional(),

  SHUTDOWN_DELAY: v.duration(0, 300_000).prefault('1s'),
  SHUTDOWN_GRACE: v.duration(0, 600_000).prefault('10s'),
}

/** Settings whose value is never shown; a URL among them may carry a password. */
export const SECRET_SETTINGS: ReadonlySet<string> = new Set<keyof typeof settings>([
  'AIRBYTE_ACCESS_TOKEN',
  'AIRBYTE_CLIENT_SECRET',
  'AIRBYTE_CLIENT_SECRET_PREVIOUS',
  'BEYOND_IDENTITY_CLIENT_SECRET',
  'BEYOND_IDENTITY_CLIENT_SECRET_PREVIOUS',
  'OAUTH2_CLIENT_SECRET',
  'OAUTH2_CLIENT_SECRET_PREVIOUS',
  'REDIS_URL',
  'REDIS_PASSWORD',
  'CACHE_ENCRYPTION_KEYS',
  'API_KEYS',
  'JWT_SECRET',
  'ADMIN_TOKEN',
  'HTTPS_PROXY',
])

export type Settings = z.output<z.ZodObject<typeof settings>>

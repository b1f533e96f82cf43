import { createHash, hkdfSync } from 'node:crypto'
import { type Environment, resolveEnvironment } from './config/environment.ts'
import { orgTokenSource } from './config/rules.ts'
import { SETTING_NAMES, settingsSchema } from './config/schema.ts'
import { SECRET_SETTINGS, type Settings } from './config/settings.ts'
import type { TagSelection } from './tokens/token.ts'
import { orgTokenUrls } from './upstream/endpoints.ts'
import type { ClientCredentials, OrgTokenSettings, UpstreamSettings } from './upstream/settings.ts'

export type Config = ReturnType<typeof nested>

export type LoadedConfig =
  | {
      readonly ok: true
      readonly config: Config
      /** Files whose change means to load again. */
      readonly files: readonly string[]
      readonly report: readonly SettingReport[]
    }
  | {
      readonly ok: false
      /** One line a mistake: the setting's name and the rule, never its value. */
      readonly problems: readonly string[]
    }

/** The environment, checked once, in our own words. Reads the files that `NAME_FILE` settings name. */
export function loadConfig(env: Environment, read?: (path: string) => string): LoadedConfig {
  const { values, files, problems } = resolveEnvironment(env, SETTING_NAMES, read)
  const result = settingsSchema.safeParse(values)
  const unreadable = new Set(problems.map((problem) => problem.split(/_FILE|:/, 1)[0]))
  const mistakes = (result.error?.issues ?? [])
    // A file that cannot be read has been told already; that its setting is missing is no second mistake.
    .filter((issue) => !unreadable.has(String(issue.path[0])))
    .map((issue) => `${String(issue.path[0])}: ${issue.message}`)

  if (problems.length > 0 || !result.success)
    return { ok: false, problems: [...new Set([...problems, ...mistakes])] }
  return {
    ok: true,
    config: nested(result.data),
    files: [...files.values()],
    report: reportOf(values, files),
  }
}

/** What an operator may see of a setting: of a secret, whether it is set. */
export type SettingReport = {
  readonly name: string
  readonly from: 'environment' | 'file' | 'default'
  /** `null`: a secret, or not set. */
  readonly value: string | null
  readonly secret: boolean
  /** Tells whether the value has changed, without telling the value; never shown. */
  readonly digest: string
}

const reportOf = (
  values: Record<string, string>,
  files: ReadonlyMap<string, string>,
): SettingReport[] =>
  SETTING_NAMES.map((name) => ({
    name,
    from: files.has(name) ? 'file' : name in values ? 'environment' : 'default',
    value: SECRET_SETTINGS.has(name) ? null : (values[name] ?? null),
    secret: SECRET_SETTINGS.has(name),
    digest: createHash('sha256')
      .update(values[name] ?? '')
      .digest('base64'),
  }))

function nested(set: Settings) {
  const egress = { proxyUrl: set.HTTPS_PROXY ?? null, noProxy: set.NO_PROXY ?? null }
  return {
    log: { level: set.LOG_LEVEL },
    http: {
      host: set.HOST,
      port: set.PORT,
      /** `null`: operations are served on `port` too. */
      opsPort: set.OPS_PORT ?? null,
      trustProxy: set.TRUST_PROXY,
      corsOrigins: set.CORS_ALLOWED_ORIGINS,
      customerIdPattern: set.CUSTOMER_ID_PATTERN,
      defaultType: set.TOKEN_DEFAULT_TYPE,
    },
    limits: {
      perCustomer: { max: set.RATE_LIMIT_MAX, windowMs: set.RATE_LIMIT_WINDOW },
      authFailures: { max: set.RATE_LIMIT_AUTH_FAILURES, windowMs: 60_000 },
      onRedisError: set.RATE_LIMIT_ON_REDIS_ERROR,
    },
    callers: {
      anyone: set.AUTH === 'none',
      serviceKeys: set.API_KEYS ?? [],
      jwt: jwtSettings(set),
      session: sessionSettings(set),
      egress,
    },
    policy: {
      policyFile: set.POLICY_FILE ?? null,
      allowInsecure: set.ALLOW_INSECURE_UPSTREAM,
      egress,
    },
    audit: { destination: set.AUDIT_LOG, fingerprintKey: derivedKey(set, 'audit fingerprint') },
    requests: {
      workspaceTemplate: set.CUSTOMER_WORKSPACE_TEMPLATE,
      widgetOrigins: set.WIDGET_ALLOWED_ORIGINS ?? set.CORS_ALLOWED_ORIGINS,
      sourceTags: tagSelection(
        set.AIRBYTE_SOURCE_TEMPLATE_TAGS,
        set.AIRBYTE_SOURCE_TEMPLATE_TAGS_MODE,
      ),
      connectionTags: tagSelection(
        set.AIRBYTE_CONNECTION_TEMPLATE_TAGS,
        set.AIRBYTE_CONNECTION_TEMPLATE_TAGS_MODE,
      ),
      regionId: set.AIRBYTE_REGION_ID ?? null,
    },
    upstream: upstreamSettings(set),
    redis: redisSettings(set),
    cache: {
      encryptionKeys: set.CACHE_ENCRYPTION_KEYS ?? null,
      /** What the cache's keys are derived from where none are set: replicas share it, and Redis never holds it. */
      orgSecret: orgSecret(set),
      maxEntries: set.CACHE_MAX_ENTRIES,
    },
    counterKey: derivedKey(set, 'limit counters'),
    /** `null`: off. */
    tracing:
      set.OTEL_EXPORTER_OTLP_ENDPOINT === undefined
        ? null
        : {
            endpoint: set.OTEL_EXPORTER_OTLP_ENDPOINT,
            serviceName: set.OTEL_SERVICE_NAME,
            includeCustomer: set.OTEL_INCLUDE_CUSTOMER,
          },
    /** SHA-256 of the token that operators show; `null`: there is no admin interface. */
    adminTokenDigest:
      set.ADMIN_TOKEN === undefined ? null : createHash('sha256').update(set.ADMIN_TOKEN).digest(),
    shutdown: { delayMs: set.SHUTDOWN_DELAY, graceMs: set.SHUTDOWN_GRACE },
  }
}

const tagSelection = (tags: readonly string[], mode: TagSelection['mode']): TagSelection | null =>
  tags.length === 0 ? null : { tags, mode }

function upstreamSettings(set: Settings): UpstreamSettings {
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

function jwtSettings(set: Settings) {
  const { JWT_ISSUER: issuer, JWT_JWKS_URL: jwksUrl, JWT_SECRET: secret } = set
  if (issuer === undefined && jwksUrl === undefined && secret === undefined) return null
  return {
    issuer: issuer ?? null,
    jwksUrl: jwksUrl ?? null,
    secret: secret === undefined ? null : Buffer.from(secret),
    audiences: set.JWT_AUDIENCE ?? [],
    customerClaim: set.JWT_CUSTOMER_CLAIM,
    algorithms: set.JWT_ALGORITHMS ?? ['RS256', 'PS256', 'ES256', 'EdDSA'],
    allowInsecure: set.ALLOW_INSECURE_UPSTREAM,
  }
}

function sessionSettings(set: Settings) {
  if (set.SESSION_CHECK_URL === undefined) return null
  return {
    checkUrl: set.SESSION_CHECK_URL,
    ttlMs: set.SESSION_CHECK_TTL,
    /** `null`: all of them. */
    cookieNames: set.SESSION_COOKIE ?? null,
    allowedOrigins: set.CORS_ALLOWED_ORIGINS,
  }
}

function redisSettings(set: Settings) {
  if (!(set.REDIS_URL || set.REDIS_CLUSTER_NODES || set.REDIS_SENTINELS)) return null
  return {
    url: set.REDIS_URL ?? null,
    clusterNodes: set.REDIS_CLUSTER_NODES ?? null,
    sentinels: set.REDIS_SENTINELS
      ? { nodes: set.REDIS_SENTINELS, name: set.REDIS_SENTINEL_NAME ?? '' }
      : null,
    username: set.REDIS_USERNAME ?? null,
    password: set.REDIS_PASSWORD ?? null,
    tls: set.REDIS_TLS,
    keyPrefix: set.REDIS_KEY_PREFIX,
  }
}

function orgSecret(set: Settings): string {
  const { orgToken } = upstreamSettings(set)
  return orgToken.source === 'static' ? orgToken.accessToken : orgToken.credentials[0].clientSecret
}

/** The oldest key of the ring, where there is one: it is the last to change while keys rotate. */
function derivedKey(set: Settings, purpose: string): Buffer {
  const root =
    set.CACHE_ENCRYPTION_KEYS?.at(-1)?.key ?? createHash('sha256').update(orgSecret(set)).digest()
  return Buffer.from(hkdfSync('sha256', root, '', `token-broker ${purpose}`, 32))
}

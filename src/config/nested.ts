import { createHash, hkdfSync } from 'node:crypto'
import type { TagSelection } from '../tokens/token.ts'
import type { Settings } from './settings.ts'
import { orgSecret, upstreamSettings } from './upstream.ts'

/** The settings in our own words, by the part that takes them: no part knows how a variable is spelled. */
export function nested(set: Settings) {
  const egress = { proxyUrl: set.HTTPS_PROXY ?? null, noProxy: set.NO_PROXY ?? null }
  return {
    log: { level: set.LOG_LEVEL },
    http: {
      host: set.HOST,
      port: set.PORT,
      /** `null`: operations are served on `port` too. */
      opsPort: set.OPS_PORT ?? null,
      trustProxy: set.TRUST_PROXY,
      logSample: set.LOG_SAMPLE,
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

/** The oldest key of the ring, where there is one: it is the last to change while keys rotate. */
function derivedKey(set: Settings, purpose: string): Buffer {
  const root =
    set.CACHE_ENCRYPTION_KEYS?.at(-1)?.key ?? createHash('sha256').update(orgSecret(set)).digest()
  return Buffer.from(hkdfSync('sha256', root, '', `token-broker ${purpose}`, 32))
}

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { SETTING_NAMES } from '../../src/config/schema.ts'
import { type LoadedConfig, loadConfig } from '../../src/config.ts'

const KEY = 'backend:0123456789abcdef0123456789'
const LEAST = { AIRBYTE_ACCESS_TOKEN: 'org-token', API_KEYS: KEY }

const problems = (env: Record<string, string>, read?: (path: string) => string) => {
  const loaded = loadConfig(env, read)
  return loaded.ok ? [] : loaded.problems
}
const config = (loaded: LoadedConfig) => {
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
  return loaded.config
}

describe('defaults', () => {
  test('are those of the contract', () => {
    const set = config(loadConfig(LEAST))

    expect(set.http).toMatchObject({
      port: 8080,
      host: '0.0.0.0',
      opsPort: null,
      corsOrigins: [],
      defaultType: 'scoped',
    })
    expect(set.limits).toEqual({
      perCustomer: { max: 100, windowMs: 900_000 },
      authFailures: { max: 100, windowMs: 60_000 },
      onRedisError: 'local',
    })
    expect(set.upstream).toMatchObject({
      apiUrl: 'https://api.airbyte.ai',
      dialect: 'auto',
      timeoutMs: 10_000,
      maxConcurrency: 32,
    })
    expect(set.shutdown).toEqual({ delayMs: 1000, graceMs: 10_000 })
    expect(set.cache.maxEntries).toBe(100_000)
    expect(set.redis).toBeNull()
  })

  test("widgets' origins are those of CORS unless they are named", () => {
    const env = { ...LEAST, CORS_ALLOWED_ORIGINS: 'https://a.example, https://b.example' }

    expect(config(loadConfig(env)).requests.widgetOrigins).toEqual([
      'https://a.example',
      'https://b.example',
    ])
    expect(
      config(loadConfig({ ...env, WIDGET_ALLOWED_ORIGINS: 'https://c.example' })).requests
        .widgetOrigins,
    ).toEqual(['https://c.example'])
  })
})

describe('mistakes', () => {
  test('are told all at once, by name and never by value', () => {
    const found = problems({
      PORT: '99999',
      RATE_LIMIT_WINDOW: '15 minutes',
      AIRBYTE_API_URL: 'not-a-secret-url',
      JWT_SECRET: 'short-secret',
      CACHE_ENCRYPTION_KEYS: 'k1:c2hvcnQ=',
      API_KEYS: 'backend:too-short',
      CORS_ALLOWED_ORIGINS: 'https://app.example.com/',
    })

    const names = found.map((problem) => problem.split(':', 1)[0])
    expect(names).toEqual(
      expect.arrayContaining([
        'PORT',
        'RATE_LIMIT_WINDOW',
        'AIRBYTE_API_URL',
        'JWT_SECRET',
        'CACHE_ENCRYPTION_KEYS',
        'API_KEYS',
        'CORS_ALLOWED_ORIGINS',
        'ORG_TOKEN_SOURCE',
        'JWT_AUDIENCE',
      ]),
    )
    for (const value of [
      '99999',
      '15 minutes',
      'not-a-secret-url',
      'short-secret',
      'c2hvcnQ=',
      'too-short',
    ])
      expect(found.join('\n')).not.toContain(value)
  })

  test.each([
    ['no caller check', { AIRBYTE_ACCESS_TOKEN: 't' }, 'AUTH'],
    ['AUTH=none beside keys', { ...LEAST, AUTH: 'none' }, 'AUTH'],
    ['another AUTH', { ...LEAST, AUTH: 'basic' }, 'AUTH'],
    ['no org credential', { API_KEYS: KEY }, 'ORG_TOKEN_SOURCE'],
    [
      'two org credentials',
      { ...LEAST, AIRBYTE_CLIENT_ID: 'a', AIRBYTE_CLIENT_SECRET: 'b' },
      'ORG_TOKEN_SOURCE',
    ],
    ['half a client', { API_KEYS: KEY, AIRBYTE_CLIENT_ID: 'a' }, 'AIRBYTE_CLIENT_SECRET'],
    ['the other half', { API_KEYS: KEY, AIRBYTE_CLIENT_SECRET: 'a' }, 'AIRBYTE_CLIENT_ID'],
    [
      'half a previous client',
      {
        API_KEYS: KEY,
        AIRBYTE_CLIENT_ID: 'a',
        AIRBYTE_CLIENT_SECRET: 'b',
        AIRBYTE_CLIENT_ID_PREVIOUS: 'c',
      },
      'AIRBYTE_CLIENT_SECRET_PREVIOUS',
    ],
    [
      'a source without its credential',
      { API_KEYS: KEY, ORG_TOKEN_SOURCE: 'static' },
      'AIRBYTE_ACCESS_TOKEN',
    ],
    [
      'beyond-identity without a tenant',
      { API_KEYS: KEY, BEYOND_IDENTITY_CLIENT_ID: 'a', BEYOND_IDENTITY_CLIENT_SECRET: 'b' },
      'BEYOND_IDENTITY_TENANT_ID',
    ],
    [
      'oauth2 without an endpoint',
      { API_KEYS: KEY, OAUTH2_CLIENT_ID: 'a', OAUTH2_CLIENT_SECRET: 'b' },
      'OAUTH2_TOKEN_URL',
    ],
    [
      'a custom dialect without paths',
      { ...LEAST, AIRBYTE_DIALECT: 'custom' },
      'AIRBYTE_SCOPED_TOKEN_PATH',
    ],
    [
      'paths without the custom dialect',
      { ...LEAST, AIRBYTE_SCOPED_TOKEN_PATH: '/x' },
      'AIRBYTE_SCOPED_TOKEN_PATH',
    ],
    [
      'clear text over the internet',
      { ...LEAST, AIRBYTE_API_URL: 'http://api.example.com' },
      'AIRBYTE_API_URL',
    ],
    [
      'clear text to an address',
      { ...LEAST, AIRBYTE_API_URL: 'http://192.0.2.7' },
      'AIRBYTE_API_URL',
    ],
    [
      'credentials in a URL',
      { ...LEAST, AIRBYTE_API_URL: 'https://user:pass@api.example.com' },
      'AIRBYTE_API_URL',
    ],
    [
      'a secret and a key set',
      {
        ...LEAST,
        JWT_SECRET: 'x'.repeat(32),
        JWT_ISSUER: 'https://id.example.com',
        JWT_AUDIENCE: 'a',
      },
      'JWT_SECRET',
    ],
    [
      'an HMAC among the algorithms',
      {
        ...LEAST,
        JWT_ISSUER: 'https://id.example.com',
        JWT_AUDIENCE: 'a',
        JWT_ALGORITHMS: 'RS256,HS256',
      },
      'JWT_ALGORITHMS',
    ],
    [
      'no signature at all',
      { ...LEAST, JWT_ISSUER: 'https://id.example.com', JWT_AUDIENCE: 'a', JWT_ALGORITHMS: 'none' },
      'JWT_ALGORITHMS',
    ],
    [
      'three keys for a name',
      { ...LEAST, API_KEYS: `a:${'1'.repeat(24)},a:${'2'.repeat(24)},a:${'3'.repeat(24)}` },
      'API_KEYS',
    ],
    [
      'one key for two names',
      { ...LEAST, API_KEYS: `a:${'1'.repeat(24)},b:${'1'.repeat(24)}` },
      'API_KEYS',
    ],
    ['a wildcard origin', { ...LEAST, CORS_ALLOWED_ORIGINS: '*' }, 'CORS_ALLOWED_ORIGINS'],
    [
      'an origin with the default port',
      { ...LEAST, CORS_ALLOWED_ORIGINS: 'https://a.example:443' },
      'CORS_ALLOWED_ORIGINS',
    ],
    [
      'a template without the id',
      { ...LEAST, CUSTOMER_WORKSPACE_TEMPLATE: 'acme' },
      'CUSTOMER_WORKSPACE_TEMPLATE',
    ],
    ['a broken pattern', { ...LEAST, CUSTOMER_ID_PATTERN: '[' }, 'CUSTOMER_ID_PATTERN'],
    [
      'two shapes of Redis',
      { ...LEAST, REDIS_URL: 'redis://r', REDIS_CLUSTER_NODES: 'a:1' },
      'REDIS_URL',
    ],
    ['sentinels without a name', { ...LEAST, REDIS_SENTINELS: 'a:1' }, 'REDIS_SENTINEL_NAME'],
    ['one port for both', { ...LEAST, PORT: '8081', OPS_PORT: '8081' }, 'OPS_PORT'],
    ['a setting misspelt', { ...LEAST, RATE_LIMIT_MXA: '5' }, 'RATE_LIMIT_MXA'],
    ['a duration without a unit', { ...LEAST, UPSTREAM_TIMEOUT: '10' }, 'UPSTREAM_TIMEOUT'],
  ])('%s', (_what, env, name) => {
    expect(problems(env).map((problem) => problem.split(':', 1)[0])).toContain(name)
  })

  test.each([
    ['a compose network', { AIRBYTE_API_URL: 'http://sandbox:8090' }],
    ['loopback', { AIRBYTE_API_URL: 'http://127.0.0.1:8090' }],
    ['IPv6 loopback', { AIRBYTE_API_URL: 'http://[::1]:8090' }],
    [
      'said out loud',
      { AIRBYTE_API_URL: 'http://api.example.com', ALLOW_INSECURE_UPSTREAM: 'true' },
    ],
    [
      "Kubernetes' service links",
      { REDIS_PORT: 'tcp://10.0.0.1:6379', REDIS_SERVICE_HOST: '10.0.0.1' },
    ],
    ['empty values', { RATE_LIMIT_MAX: '', JWT_ISSUER: '' }],
  ])('are not: %s', (_what, env) => {
    expect(problems({ ...LEAST, ...env })).toEqual([])
  })
})

describe('a value from a file', () => {
  const files: Record<string, string> = {
    '/run/token': 'from-file\n',
    '/run/empty': '\n',
    '/run/two': 'a\n\n',
  }
  const read = (path: string) => {
    const text = files[path]
    if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return text
  }

  test('loses one newline at its end, and is named as a file to watch', () => {
    const loaded = loadConfig({ API_KEYS: KEY, AIRBYTE_ACCESS_TOKEN_FILE: '/run/token' }, read)

    expect(config(loaded).upstream.orgToken).toEqual({ source: 'static', accessToken: 'from-file' })
    expect(loaded.ok && loaded.files).toEqual(['/run/token'])
  })

  test.each([
    [
      'set twice',
      { AIRBYTE_ACCESS_TOKEN: 'x', AIRBYTE_ACCESS_TOKEN_FILE: '/run/token' },
      'AIRBYTE_ACCESS_TOKEN: set both here and by AIRBYTE_ACCESS_TOKEN_FILE',
    ],
    [
      'missing',
      { AIRBYTE_ACCESS_TOKEN_FILE: '/run/none' },
      'AIRBYTE_ACCESS_TOKEN_FILE: the file cannot be read (ENOENT)',
    ],
    [
      'empty',
      { AIRBYTE_ACCESS_TOKEN_FILE: '/run/empty' },
      'AIRBYTE_ACCESS_TOKEN_FILE: the file is empty',
    ],
  ])('%s is a mistake', (_what, env, problem) => {
    expect(problems({ API_KEYS: KEY, ...env }, read)).toContain(problem)
  })
})

describe("the org token's source is inferred", () => {
  const client = { API_KEYS: KEY, AIRBYTE_CLIENT_ID: 'id', AIRBYTE_CLIENT_SECRET: 'secret' }

  test.each([
    ['static', LEAST, undefined],
    ['airbyte-cloud', client, 'https://api.airbyte.com/v1/applications/token'],
    [
      'airbyte-self-managed',
      { ...client, AIRBYTE_URL: 'https://airbyte.example.com/' },
      'https://airbyte.example.com/api/public/v1/applications/token',
    ],
    [
      'airbyte-agents',
      { ...client, AIRBYTE_DIALECT: 'applications' },
      'https://api.airbyte.ai/api/v1/account/applications/token',
    ],
    [
      'airbyte-agents',
      { ...client, ORG_TOKEN_SOURCE: 'airbyte-agents', AIRBYTE_API_URL: 'https://api.example.com' },
      'https://api.example.com/api/v1/account/applications/token',
    ],
    [
      'airbyte-cloud',
      { ...client, AIRBYTE_TOKEN_URL: 'https://elsewhere.example/t' },
      'https://elsewhere.example/t',
    ],
    [
      'beyond-identity',
      {
        API_KEYS: KEY,
        BEYOND_IDENTITY_REGION: 'eu',
        BEYOND_IDENTITY_TENANT_ID: 't',
        BEYOND_IDENTITY_REALM_ID: 'r',
        BEYOND_IDENTITY_APPLICATION_ID: 'a',
        BEYOND_IDENTITY_CLIENT_ID: 'id',
        BEYOND_IDENTITY_CLIENT_SECRET: 's',
      },
      'https://auth-eu.beyondidentity.com/v1/tenants/t/realms/r/applications/a/token',
    ],
    [
      'oauth2',
      {
        API_KEYS: KEY,
        OAUTH2_TOKEN_URL: 'https://id.example/token',
        OAUTH2_CLIENT_ID: 'id',
        OAUTH2_CLIENT_SECRET: 's',
      },
      'https://id.example/token',
    ],
  ])('%s', (source, env, url) => {
    const { orgToken } = config(loadConfig(env)).upstream

    expect(orgToken.source).toBe(source)
    expect('tokenUrls' in orgToken ? orgToken.tokenUrls[0] : undefined).toBe(url)
  })
})

test('the README names every setting', () => {
  const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

  expect(SETTING_NAMES.filter((name) => !text.includes(`\`${name}\``))).toEqual([])
})

test('.env.example names every setting and no other', () => {
  const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')

  const named = [...text.matchAll(/^#?\s?([A-Z][A-Z0-9_]+)=/gm)].map(([, name]) => name)

  expect([...new Set(named)].sort()).toEqual([...SETTING_NAMES].sort())
})

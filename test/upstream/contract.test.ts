import { describe, expect, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { TokenRequest } from '../../src/tokens/token.ts'
import type {
  CustomDialect,
  OrgTokenSettings,
  UpstreamSettings,
} from '../../src/upstream/settings.ts'
import { PAGE, startedUpstream, tokenRequest } from './started.ts'

const ORGANIZATION = '0f6e2a52-94a1-4bb4-8d6b-6c9d6b1a7c11'

const credentials = ({ clientId, clientSecret }: Sandbox) => [{ clientId, clientSecret }] as const

const basic = ({ clientId, clientSecret }: Sandbox) =>
  `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`

type SourceCase = {
  orgToken: (sandbox: Sandbox) => OrgTokenSettings
  path: string
  headers: (sandbox: Sandbox) => Record<string, string>
  body: (sandbox: Sandbox) => unknown
}

const JSON_TYPE = { 'content-type': 'application/json' }
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' }
const BEYOND_IDENTITY_PATH = '/v1/tenants/t-1/realms/r-1/applications/a-1/token'

const airbyteBody = ({ clientId, clientSecret }: Sandbox) => ({
  client_id: clientId,
  client_secret: clientSecret,
  'grant-type': 'client_credentials',
})

const SOURCES: Record<string, SourceCase> = {
  'airbyte-cloud': {
    orgToken: (s) => ({
      source: 'airbyte-cloud',
      tokenUrls: [`${s.url}/v1/applications/token`],
      credentials: credentials(s),
    }),
    path: '/v1/applications/token',
    headers: () => JSON_TYPE,
    body: airbyteBody,
  },
  'airbyte-self-managed': {
    orgToken: (s) => ({
      source: 'airbyte-self-managed',
      tokenUrls: [`${s.url}/api/public/v1/applications/token`],
      credentials: credentials(s),
    }),
    path: '/api/public/v1/applications/token',
    headers: () => JSON_TYPE,
    body: airbyteBody,
  },
  'airbyte-agents': {
    orgToken: (s) => ({
      source: 'airbyte-agents',
      tokenUrls: [`${s.url}/api/v1/account/applications/token`],
      credentials: credentials(s),
    }),
    path: '/api/v1/account/applications/token',
    headers: () => ({ ...JSON_TYPE, 'x-organization-id': ORGANIZATION }),
    body: (s) => ({ client_id: s.clientId, client_secret: s.clientSecret }),
  },
  'beyond-identity': {
    orgToken: (s) => ({
      source: 'beyond-identity',
      tokenUrls: [`${s.url}${BEYOND_IDENTITY_PATH}`],
      credentials: credentials(s),
      scopes: ['embedded:read', 'embedded:write'],
    }),
    path: BEYOND_IDENTITY_PATH,
    headers: (s) => ({ ...FORM_TYPE, authorization: basic(s) }),
    body: () => 'scope=embedded%3Aread+embedded%3Awrite&grant_type=client_credentials',
  },
  'beyond-identity without scopes': {
    orgToken: (s) => ({
      source: 'beyond-identity',
      tokenUrls: [`${s.url}${BEYOND_IDENTITY_PATH}`],
      credentials: credentials(s),
      scopes: [],
    }),
    path: BEYOND_IDENTITY_PATH,
    headers: (s) => ({ ...FORM_TYPE, authorization: basic(s) }),
    body: () => 'grant_type=client_credentials',
  },
  'oauth2 basic': {
    orgToken: (s) => ({
      source: 'oauth2',
      tokenUrls: [`${s.url}/oauth2/token`],
      credentials: credentials(s),
      scopes: ['mint'],
      clientAuth: 'basic',
    }),
    path: '/oauth2/token',
    headers: (s) => ({ ...FORM_TYPE, authorization: basic(s) }),
    body: () => 'scope=mint&grant_type=client_credentials',
  },
  'oauth2 post': {
    orgToken: (s) => ({
      source: 'oauth2',
      tokenUrls: [`${s.url}/oauth2/token`],
      credentials: credentials(s),
      scopes: [],
      clientAuth: 'post',
    }),
    path: '/oauth2/token',
    headers: () => FORM_TYPE,
    body: (s) =>
      `grant_type=client_credentials&client_id=${s.clientId}&client_secret=${s.clientSecret}`,
  },
}

/** Headers that the contract does not speak of. */
const UNREMARKABLE = ['host', 'connection', 'content-length', 'accept', 'user-agent']

const told = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !UNREMARKABLE.includes(name)))

describe('an org token is asked for as its source wants it', () => {
  test.each(Object.entries(SOURCES))('%s', async (_, { orgToken, path, headers, body }) => {
    const { sandbox, upstream } = await startedUpstream({
      settings: (s) => ({ orgToken: orgToken(s), organizationId: ORGANIZATION }),
    })

    await upstream.mint(tokenRequest(), 'caller')

    const [exchange, ...others] = sandbox.asked.filter(({ kind }) => kind === 'exchange')
    expect(others).toEqual([])
    expect(exchange).toMatchObject({ method: 'POST', path, query: '', status: 200 })
    expect(told(exchange?.headers ?? {})).toEqual(headers(sandbox))
    expect(exchange?.json ?? exchange?.body).toEqual(body(sandbox))
  })

  test('static: not at all, and the token is sent as it is', async () => {
    const { sandbox, upstream } = await startedUpstream({
      settings: (s) => ({ orgToken: { source: 'static', accessToken: s.orgToken } }),
    })

    await upstream.mint(tokenRequest(), 'caller')

    expect(sandbox.asked.map(({ kind }) => kind)).toEqual(['mint'])
    expect(sandbox.asked[0]?.headers.authorization).toBe(`Bearer ${sandbox.orgToken}`)
  })
})

const CUSTOM: CustomDialect = {
  scopedTokenPath: '/api/v1/account/applications/scoped-token',
  widgetTokenPath: '/api/v1/account/applications/widget-token',
  tokenInfoPath: '/api/v1/account/applications/scoped-token/info',
  customerField: 'customer_name',
  tagsOn: 'widget',
}

type MintCase = {
  settings: Partial<UpstreamSettings>
  request: Partial<TokenRequest>
  path: string
  body: Record<string, unknown>
}

const TAGS = {
  sourceTags: { tags: ['crm'], mode: 'any' },
  connectionTags: { tags: ['gold', 'daily'], mode: 'all' },
} satisfies Partial<TokenRequest>

const ANY_TAGS = { ...TAGS, connectionTags: { tags: ['gold', 'daily'], mode: 'any' } } as const
const WIDGET = { type: 'widget', allowedOrigin: PAGE } as const

const TAG_FIELDS = {
  selected_source_template_tags: ['crm'],
  selected_connection_template_tags: ['gold', 'daily'],
}
const MODE_FIELDS = {
  selected_source_template_tags_mode: 'any',
  selected_connection_template_tags_mode: 'all',
}

const MINTS: Record<string, MintCase> = {
  'embedded, scoped, bare': {
    settings: { dialect: 'embedded' },
    request: {},
    path: '/api/v1/embedded/scoped-token',
    body: { external_id: 'acme' },
  },
  'embedded, scoped, with everything': {
    settings: { dialect: 'embedded' },
    request: { ...ANY_TAGS, regionId: 'eu' },
    path: '/api/v1/embedded/scoped-token',
    body: { external_id: 'acme', ...TAG_FIELDS, region_id: 'eu' },
  },
  'embedded, widget': {
    settings: { dialect: 'embedded' },
    request: { ...WIDGET, ...ANY_TAGS },
    path: '/api/v1/embedded/widget-token',
    body: { external_id: 'acme', ...TAG_FIELDS },
  },
  'embedded-workspace, scoped: no tags there': {
    settings: { dialect: 'embedded-workspace' },
    request: { ...TAGS, regionId: 'eu' },
    path: '/api/v1/embedded/scoped-token',
    body: { workspace_name: 'acme', region_id: 'eu' },
  },
  'embedded-workspace, widget': {
    settings: { dialect: 'embedded-workspace' },
    request: { ...WIDGET, ...TAGS },
    path: '/api/v1/embedded/widget-token',
    body: { workspace_name: 'acme', allowed_origin: PAGE, ...TAG_FIELDS, ...MODE_FIELDS },
  },
  'applications, scoped': {
    settings: { dialect: 'applications' },
    request: {},
    path: '/api/v1/account/applications/scoped-token',
    body: { workspace_name: 'acme' },
  },
  'applications, widget': {
    settings: { dialect: 'applications' },
    request: { ...WIDGET, ...TAGS, regionId: 'us' },
    path: '/api/v1/account/applications/widget-token',
    body: {
      workspace_name: 'acme',
      allowed_origin: PAGE,
      ...TAG_FIELDS,
      ...MODE_FIELDS,
      region_id: 'us',
    },
  },
  'custom, scoped': {
    settings: { dialect: 'custom', custom: CUSTOM },
    request: {},
    path: CUSTOM.scopedTokenPath,
    body: { customer_name: 'acme' },
  },
  'custom, widget': {
    settings: { dialect: 'custom', custom: CUSTOM },
    request: { ...WIDGET, ...TAGS },
    path: CUSTOM.widgetTokenPath,
    body: {
      customer_name: 'acme',
      allowed_origin: PAGE,
      ...TAG_FIELDS,
      selected_connection_template_tags_mode: 'all',
    },
  },
}

const servedAs = (dialect: UpstreamSettings['dialect'] | undefined) =>
  dialect === undefined || dialect === 'auto' || dialect === 'custom' ? 'applications' : dialect

describe('a token is asked for in the words of the dialect', () => {
  test.each(Object.entries(MINTS))('%s', async (_, { settings, request, path, body }) => {
    const { sandbox, upstream } = await startedUpstream({
      sandbox: {
        dialects: [servedAs(settings.dialect)],
        customerFields: ['workspace_name', 'customer_name'],
      },
      settings: (s) => ({ ...settings, orgToken: { source: 'static', accessToken: s.orgToken } }),
    })

    const token = await upstream.mint(tokenRequest({ customerId: 'acme', ...request }), 'caller')

    const [mint, ...others] = sandbox.asked
    expect(others).toEqual([])
    expect(mint).toMatchObject({ method: 'POST', path, query: '', json: body })
    expect(Object.keys(body).sort()).toEqual(Object.keys(Object(mint?.json)).sort())
    expect(told(mint?.headers ?? {})).toEqual({
      ...JSON_TYPE,
      authorization: `Bearer ${sandbox.orgToken}`,
    })
    const [minted] = sandbox.minted
    expect(token).toMatchObject({
      value: minted?.token,
      type: request.type ?? 'scoped',
      workspaceId: minted?.workspaceId,
      expiresAt: minted?.expiresAt,
    })
  })

  test('the organisation goes along as a header', async () => {
    const { sandbox, upstream } = await startedUpstream({
      sandbox: { organizations: ['other', ORGANIZATION] },
      settings: { organizationId: ORGANIZATION },
    })

    await upstream.mint(tokenRequest(), 'caller')

    expect(sandbox.asked.at(-1)?.headers['x-organization-id']).toBe(ORGANIZATION)
  })

  test.each([
    ['embedded', '/api/v1/embedded/scoped-token/info'],
    ['embedded-workspace', '/api/v1/embedded/scoped-token/info'],
    ['applications', '/api/v1/account/applications/scoped-token/info'],
    ['custom', CUSTOM.tokenInfoPath],
  ] as const)('a token is asked about: %s', async (dialect, path) => {
    const { sandbox, upstream } = await startedUpstream({
      settings: {
        dialect,
        custom: dialect === 'custom' ? CUSTOM : null,
        organizationId: ORGANIZATION,
      },
      sandbox: { customerFields: ['workspace_name', 'customer_name'] },
    })
    const { value } = await upstream.mint(tokenRequest(), 'caller')
    sandbox.forget()

    await upstream.tokenInfo(value)

    const [info, ...others] = sandbox.asked
    expect(others).toEqual([])
    expect(info).toMatchObject({ method: 'GET', path, query: '', body: '' })
    expect(told(info?.headers ?? {})).toEqual({ authorization: `Bearer ${value}` })
  })
})

import { describe, expect, test } from 'vitest'
import { ERROR_BODIES, errorBody } from '../../src/sandbox/bodies.ts'
import { joinUrl, orgTokenUrls } from '../../src/upstream/endpoints.ts'
import { replyText } from '../../src/upstream/reply-text.ts'
import { type UpstreamSettings, upstreamIdentity } from '../../src/upstream/settings.ts'
import { startedUpstream, tokenRequest } from './started.ts'

describe('what an error reply says is read for the log', () => {
  test.each(ERROR_BODIES.filter((shape) => !['empty', 'html', 'error-id'].includes(shape)))(
    '%s',
    (shape) => {
      const { text } = errorBody(shape, 403, 'the plan has no Embedded')

      expect(replyText(text, [])).toContain('the plan has no Embedded')
    },
  )

  test.each([
    ['', ''],
    ['<html><head><title>502 Bad Gateway</title></head></html>', '502 Bad Gateway'],
    ['<html><body>Oops</body></html>', 'an HTML page'],
    ['upstream connect error', 'upstream connect error'],
    [
      '{"errorId":"550e8400-e29b-41d4-a716-446655440000"}',
      'errorId 550e8400-e29b-41d4-a716-446655440000',
    ],
    [
      '{"detail":[{"loc":["body","workspace_name"],"msg":"Field required","input":{"a":"b"}}]}',
      'body.workspace_name: Field required',
    ],
    ['{"error":"invalid_client","error_description":"no"}', 'invalid_client; no'],
    ['{"message":7,"detail":null}', ''],
    ['{"message":"two\\nlines\\u001b[31m"}', 'two lines [31m'],
    ['[1]', '[1]'],
  ])('%s', (body, words) => {
    expect(replyText(body, [])).toBe(words)
  })

  test('in one short line', () => {
    expect(replyText(JSON.stringify({ message: 'so '.repeat(500) }), []).length).toBeLessThan(310)
  })

  test.each([
    ['a JWT', 'bad token eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2ln here', 'bad token [masked] here'],
    ['a known secret', 'client hunter2 is unknown', 'client [masked] is unknown'],
    ['a named one', 'client_secret=abc123, sorry', 'client_secret=[masked], sorry'],
    ['in a header', 'got Authorization: Bearer abc123def', 'got Authorization: Bearer [masked]'],
    ['a long run', 'key Zm9vYmFyMTIzNDU2Nzg5MA is dead', 'key [masked] is dead'],
    ['nothing', 'unknown field selected_source_template_tags', null],
    ['a path', 'POST /api/v1/account/applications/scoped-token', null],
    ['plain words', 'the token has expired', null],
  ])('without %s', (_, said, masked) => {
    expect(replyText(JSON.stringify({ message: said }), ['hunter2'])).toBe(masked ?? said)
  })
})

test('an error reply is not relayed, and its words are logged without the org token', async () => {
  const { upstream, sandbox, lines } = await startedUpstream({
    settings: (s) => ({ orgToken: { source: 'static', accessToken: s.orgToken } }),
  })
  const message = `Bearer ${sandbox.orgToken} may not do this`
  sandbox.fail({ on: 'mint', what: 'status', status: 403, body: 'detail-text', message })

  const error = await upstream.mint(tokenRequest({ customerId: 'acme' }), 'caller').catch((e) => e)

  expect(error).toMatchObject({
    code: 'upstream_rejected',
    message: 'the token service refused the request',
  })
  expect(lines.at(-1)).toEqual({
    level: 'warn',
    message: 'the upstream refused a mint',
    fields: {
      call: 'mint',
      dialect: 'embedded',
      type: 'scoped',
      customerId: 'acme',
      status: 403,
      upstreamSays: 'Bearer [masked] may not do this',
      hint: 'the org token may not mint: see its permissions and AIRBYTE_ORGANIZATION_ID',
    },
  })
})

describe('addresses are joined strictly', () => {
  test.each([
    ['https://api.airbyte.ai', '/api/v1/x', 'https://api.airbyte.ai/api/v1/x'],
    ['https://api.airbyte.ai/', 'api/v1/x', 'https://api.airbyte.ai/api/v1/x'],
    ['https://api.airbyte.ai/api/v1', '/api/v1/x', 'https://api.airbyte.ai/api/v1/x'],
    ['https://api.airbyte.ai/api/v1/', '/api/v1/x', 'https://api.airbyte.ai/api/v1/x'],
    ['https://h/airbyte', '/api/v1/x', 'https://h/airbyte/api/v1/x'],
    ['https://h/airbyte/api', '/api/v1/x', 'https://h/airbyte/api/v1/x'],
    ['https://h//a//', '//b//c', 'https://h/a/b/c'],
    ['http://h:8000/?a=1#b', '/x', 'http://h:8000/x'],
  ])('%s + %s', (base, path, url) => {
    expect(joinUrl(base, path)).toBe(url)
  })

  test('each source exchanges where its documentation says', () => {
    expect(orgTokenUrls['airbyte-cloud']()).toEqual([
      'https://api.airbyte.com/v1/applications/token',
    ])
    expect(orgTokenUrls['airbyte-self-managed']('https://airbyte.acme.example/')).toEqual([
      'https://airbyte.acme.example/api/public/v1/applications/token',
      'https://airbyte.acme.example/api/v1/applications/token',
    ])
    expect(orgTokenUrls['airbyte-agents']('https://api.airbyte.ai')).toEqual([
      'https://api.airbyte.ai/api/v1/account/applications/token',
    ])
    const place = { region: 'eu', tenantId: 't/1', realmId: 'r', applicationId: 'a' } as const
    expect(orgTokenUrls['beyond-identity'](place)).toEqual([
      'https://auth-eu.beyondidentity.com/v1/tenants/t%2F1/realms/r/applications/a/token',
    ])
  })
})

describe('what decides about the tokens tells two caches apart', () => {
  const settings: UpstreamSettings = {
    apiUrl: 'https://api.airbyte.ai',
    dialect: 'custom',
    custom: {
      scopedTokenPath: '/s',
      widgetTokenPath: '/w',
      tokenInfoPath: null,
      customerField: 'id',
      tagsOn: 'both',
    },
    organizationId: null,
    orgToken: {
      source: 'airbyte-cloud',
      tokenUrls: ['https://api.airbyte.com/v1/applications/token'],
      credentials: [{ clientId: 'id-1', clientSecret: 'secret-1' }],
    },
    timeoutMs: 1,
    maxConcurrency: 1,
    proxyUrl: null,
  }
  const { custom, orgToken } = settings
  if (custom === null || orgToken.source !== 'airbyte-cloud') throw new Error('unlikely')

  test.each<[string, Partial<UpstreamSettings>]>([
    ['the API', { apiUrl: 'https://other' }],
    ['the dialect', { dialect: 'auto', custom: null }],
    ['a path', { custom: { ...custom, widgetTokenPath: '/x' } }],
    ['the field', { custom: { ...custom, customerField: 'x' } }],
    ['the organisation', { organizationId: 'o' }],
    ['the source', { orgToken: { source: 'static', accessToken: 'a' } }],
    [
      'the credential',
      { orgToken: { ...orgToken, credentials: [{ clientId: 'id-2', clientSecret: 'secret-1' }] } },
    ],
  ])('%s', (_, change) => {
    expect(upstreamIdentity({ ...settings, ...change })).not.toEqual(upstreamIdentity(settings))
  })

  test('a new secret of the same application does not, and no secret is in it', () => {
    const credentials = [{ clientId: 'id-1', clientSecret: 'secret-2' }] as const
    const rotated = { ...settings, timeoutMs: 2, orgToken: { ...orgToken, credentials } }

    expect(upstreamIdentity(rotated)).toEqual(upstreamIdentity(settings))
    expect(upstreamIdentity(settings).join()).not.toMatch(/secret-1|id-1/)
    const held = { source: 'static', accessToken: 'static-token' } as const
    expect(upstreamIdentity({ ...settings, orgToken: held }).join()).not.toContain('static-token')
  })
})
